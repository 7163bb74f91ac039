module capstan.dev/gotemplate-tables

go 1.26
