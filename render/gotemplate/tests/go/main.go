// Command gotemplate-tables prints what Go's text/template and fmt do with the inputs of tables.go, as lines of JSON that the
// tests of capstan-gotemplate are held against:
//
//	go run . printf > ../data/printf.jsonl
//	go run . exec   > ../data/exec.jsonl
//	go run . random SEED COUNT  (templates made at random, in the form of exec.jsonl)
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"text/template"
)

// value makes a Go value from its description: {"int": 1}, {"list": [...]} and so on.
func value(raw json.RawMessage) any {
	var tagged map[string]json.RawMessage
	must(json.Unmarshal(raw, &tagged))
	for kind, body := range tagged {
		switch kind {
		case "nil":
			return nil
		case "bool":
			return decode[bool](body)
		case "int":
			return decode[int](body)
		case "int64":
			return decode[int64](body)
		case "int8":
			return decode[int8](body)
		case "uint8":
			return decode[uint8](body)
		case "uint64":
			return decode[uint64](body)
		case "float64":
			f, err := strconv.ParseFloat(decode[string](body), 64)
			must(err)
			return f
		case "float32":
			f, err := strconv.ParseFloat(decode[string](body), 32)
			must(err)
			return float32(f)
		case "complex":
			parts := decode[[]float64](body)
			return complex(parts[0], parts[1])
		case "string":
			return decode[string](body)
		case "bytes":
			return []byte(decode[string](body))
		case "list":
			list := []any{}
			for _, item := range decode[[]json.RawMessage](body) {
				list = append(list, value(item))
			}
			return list
		case "strings":
			return decode[[]string](body)
		case "map":
			m := map[string]any{}
			for key, item := range decode[map[string]json.RawMessage](body) {
				m[key] = value(item)
			}
			return m
		case "nilmap":
			return map[string]any(nil)
		case "nillist":
			return []any(nil)
		case "stringmap":
			return decode[map[string]string](body)
		}
	}
	panic("unknown value: " + string(raw))
}

func decode[T any](raw json.RawMessage) (out T) {
	must(json.Unmarshal(raw, &out))
	return out
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// data is what all templates are executed with; the tests in Rust read the same file.
var data = func() any {
	text, err := os.ReadFile("../data/data.json")
	must(err)
	return value(text)
}()

var funcs = template.FuncMap{
	"wantString": func(s string) string { return "s:" + s },
	"wantInt":    func(i int) int { return i + 1 },
	"wantFloat":  func(f float64) float64 { return f * 2 },
	"wantBool":   func(b bool) bool { return !b },
	"wantByte":   func(b uint8) uint8 { return b },
	"wantMap":    func(m map[string]any) int { return len(m) },
	"wantList":   func(l []any) int { return len(l) },
	"same":       func(v any) any { return v },
	"ints":       func(i ...int) int { return len(i) },
	"two":        func(a string, rest ...string) int { return len(rest) },
	"failing":    func() (string, error) { return "", errors.New("it failed") },
	"none":       func() any { return nil },
	"nothing":    func() map[string]any { return nil },
	"typed":      func(v any) string { return fmt.Sprintf("%T", v) },
}

type execCase struct {
	Template string `json:"template"`
	Missing  string `json:"missing,omitempty"`
	Out      string `json:"out"`
	Err      string `json:"err,omitempty"`
}

func run(text, missing string) execCase {
	c := execCase{Template: text, Missing: missing}
	t := template.New("t").Funcs(funcs)
	if missing != "" {
		t.Option("missingkey=" + missing)
	}
	t, err := t.Parse(text)
	if err != nil {
		c.Err = err.Error()
		return c
	}
	var buf bytes.Buffer
	if err := t.Execute(&buf, data); err != nil {
		c.Err = err.Error()
		return c
	}
	c.Out = buf.String()
	return c
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	switch os.Args[1] {
	case "printf":
		printfTable(enc)
	case "exec":
		for _, text := range templates {
			must(enc.Encode(run(text, "")))
		}
		for _, text := range missingTemplates {
			for _, missing := range []string{"", "zero", "error"} {
				must(enc.Encode(run(text, missing)))
			}
		}
	case "random":
		seed, err := strconv.ParseInt(os.Args[2], 10, 64)
		must(err)
		count, err := strconv.Atoi(os.Args[3])
		must(err)
		g := generator{rand.New(rand.NewSource(seed))}
		for range count {
			must(enc.Encode(run(g.template(), []string{"", "zero", "error"}[g.Intn(3)])))
		}
	default:
		panic("printf, exec or random")
	}
}
