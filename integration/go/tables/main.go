// Writes the tables of facts that render/kustomize builds with, from the pinned modules of kustomize 5.8.1.
//
// Facts only: which fields a transformer reaches, which lists merge by which keys, which types have no namespace.
// Run it as `go run . ../../../render/kustomize/src/tables`.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run . FOLDER")
	}
	folder := os.Args[1]
	write(filepath.Join(folder, "fieldspecs.txt"), fieldSpecs)
	write(filepath.Join(folder, "schema.txt"), schema)
}

func write(path string, lines func() ([]string, error)) {
	all, err := lines()
	if err != nil {
		log.Fatalf("%s: %v", path, err)
	}
	file, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(file)
	for _, line := range all {
		fmt.Fprintln(out, line)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
}
