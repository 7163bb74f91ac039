module capstan.dev/schema-gen

go 1.26
