package main

import (
	"math/rand"
	"strings"
)

// generator makes templates that are mostly well-formed.
type generator struct{ *rand.Rand }

func (g generator) pick(items ...string) string { return items[g.Intn(len(items))] }

func (g generator) template() string {
	var b strings.Builder
	b.WriteString("{{$v := .m}}{{$k := 1}}{{$w := .s -}}\n")
	for range 1 + g.Intn(3) {
		b.WriteString(g.node(2))
	}
	if g.Intn(2) == 0 {
		b.WriteString(`{{define "d"}}` + g.node(1) + `{{end}}`)
	}
	return b.String()
}

func (g generator) node(depth int) string {
	open, end := g.pick("{{", "{{", "{{- "), g.pick("}}", "}}", " -}}")
	if depth == 0 {
		return g.pick("a", " ", "\n", "é") + open + g.pipeline(1) + end
	}
	switch g.Intn(9) {
	case 0:
		return g.pick("text ", "  \n", "x}}y", "{ {")
	case 1:
		return open + "if " + g.pipeline(2) + end + g.node(depth-1) + g.pick("", "{{else}}"+g.node(depth-1), "{{else if "+g.pipeline(1)+"}}"+g.node(depth-1)) + "{{end}}"
	case 2:
		return open + "with " + g.pick("", "$w := ") + g.pipeline(2) + end + g.node(depth-1) + g.pick("", "{{else}}"+g.node(depth-1)) + "{{end}}"
	case 3:
		return open + "range " + g.pick("", "$v := ", "$k, $v := ") + g.pipeline(1) + end + g.node(depth-1) + g.pick("", "{{break}}", "{{continue}}", "{{if .}}{{continue}}{{end}}") + g.node(depth-1) + g.pick("", "{{else}}E") + "{{end}}"
	case 4:
		return open + g.pick("$v", "$k", "$w") + g.pick(" := ", " := ", " = ") + g.pipeline(2) + end
	case 5:
		return g.pick(`{{template "d" `+g.pipeline(1)+`}}`, `{{template "d"}}`, `{{block "e" `+g.pipeline(1)+`}}`+g.node(depth-1)+`{{end}}`)
	default:
		return open + g.pipeline(3) + end
	}
}

func (g generator) pipeline(depth int) string {
	s := g.command(depth)
	for g.Intn(4) == 0 {
		s += g.pick(" | ", "|", " |\n") + g.call(depth, -1)
	}
	return s
}

func (g generator) command(depth int) string {
	if g.Intn(2) == 0 {
		return g.operand(depth)
	}
	return g.call(depth, 0)
}

// call is a function with mostly as many arguments as it takes, less those that are piped.
func (g generator) call(depth, piped int) string {
	if g.Intn(3) > 0 {
		name := g.pick("print", "printf \"%v\"", "len", "not", "html", "js", "urlquery", "println", "same", "typed", "same", "print")
		for range 1 + piped {
			name += " " + g.operand(depth)
		}
		return name
	}
	if g.Intn(3) > 0 {
		name := g.pick("index", "and", "or", "eq", "ne", "lt", "le", "gt", "ge", "slice")
		for range 2 + piped {
			name += " " + g.operand(depth)
		}
		return name
	}
	name := g.pick("print", "printf \"%v\"", "printf \"%d %s\"", "len", "index", "not", "and", "or", "eq", "ne", "lt", "le", "gt", "ge", "html", "js", "urlquery", "slice", "println", "same", "wantString", "wantInt", "wantMap", "wantList", "wantFloat", "ints", "two", "typed", "none", "nothing", "failing", "call")
	for range g.Intn(4) {
		name += " " + g.operand(depth)
	}
	return name
}

func (g generator) operand(depth int) string {
	switch g.Intn(12) {
	case 0, 1, 2, 3:
		return g.pick(".", ".s", ".i", ".f", ".t", ".n", ".l", ".ls", ".m", ".m.a", ".m.b", ".m.b.c", ".m.b.c.d", ".em", ".sm", ".sm.k", ".nm", ".nl", ".by", ".x", ".x.y", ".u8", ".i64", ".nested", ".m.n", ".m.n.q", ".c", ".html")
	case 4, 5:
		return g.pick("$", "$v", "$k", "$w", "$v.a", "$.m.b", "$.s", "$w.b.c")
	case 6, 7:
		return g.pick("1", "0", "-1", "2.5", "1e3", "\"a\"", "\"\"", "`r`", "'x'", "true", "false", "nil", "\"k\"", "\"b\"", "0x1F", "1i")
	default:
		if depth <= 0 {
			return "1"
		}
		return "(" + g.pipeline(depth-1) + ")" + g.pick("", "", "", ".a", ".b.c", ".x")
	}
}
