// Small programs for the images of the test cluster: no other module is needed.
module cupola.dev/e2e/tools

go 1.24.0
