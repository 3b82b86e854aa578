"""What runs inside the pods of Cupola: curate, pretrain, finetune, evaluate."""
