// nslookup and wget for the busybox image: Debian's static busybox cannot resolve names as libc does.
//
//	nslookup NAME
//	wget [--method=PUT --body-data=TEXT] URL    # the answer's body goes to standard output
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	work := lookup
	if filepath.Base(os.Args[0]) == "wget" {
		work = get
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func lookup() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: nslookup NAME")
	}
	found, err := net.LookupHost(os.Args[1])
	for _, address := range found {
		fmt.Println("Address:", address)
	}
	return err
}

func get() error {
	method := flag.String("method", http.MethodGet, "GET, PUT, ...")
	body := flag.String("body-data", "", "what is sent")
	flag.Parse()
	request, err := http.NewRequest(*method, flag.Arg(0), strings.NewReader(*body))
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err = io.Copy(os.Stdout, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s", answer.Status)
	}
	return nil
}
