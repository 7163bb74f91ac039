package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
)

type printfCase struct {
	Format string            `json:"format"`
	Args   []json.RawMessage `json:"args"`
	Out    string            `json:"out"`
}

var printfValues = []string{
	`{"nil":1}`, `{"bool":true}`, `{"bool":false}`,
	`{"int":0}`, `{"int":1}`, `{"int":-1}`, `{"int":42}`, `{"int":-12345}`, `{"int":65}`, `{"int":128512}`, `{"int":1114112}`,
	`{"int64":9223372036854775807}`, `{"int64":-9223372036854775808}`, `{"int8":-7}`, `{"uint8":255}`, `{"uint64":18446744073709551615}`,
	`{"float64":"0"}`, `{"float64":"-0"}`, `{"float64":"1"}`, `{"float64":"-1.5"}`, `{"float64":"0.1"}`, `{"float64":"100000"}`, `{"float64":"1000000"}`,
	`{"float64":"1234567.8"}`, `{"float64":"1e21"}`, `{"float64":"1e-7"}`, `{"float64":"0.00001234"}`, `{"float64":"2.5"}`, `{"float64":"3.5"}`, `{"float64":"1e300"}`,
	`{"float64":"5e-324"}`, `{"float64":"NaN"}`, `{"float64":"+Inf"}`, `{"float64":"-Inf"}`, `{"float64":"123456789.125"}`, `{"float32":"0.1"}`, `{"float32":"16777216"}`,
	`{"complex":[1,-2]}`, `{"complex":[0.5,0]}`,
	`{"string":""}`, `{"string":"abc"}`, `{"string":"a\"b\\c\n\t"}`, `{"string":"héllo wörld"}`, `{"string":"\u00a0\u200b\u2028"}`, `{"string":"😀 \u0000\u007f"}`, `{"string":"back` + "`" + `tick"}`,
	`{"bytes":"xyz"}`, `{"bytes":""}`,
	`{"list":[]}`, `{"list":[{"int":1},{"string":"a"},{"nil":1},{"float64":"1.5"}]}`, `{"strings":["a","b c"]}`,
	`{"map":{}}`, `{"map":{"b":{"int":1},"a":{"string":"x"},"c":{"nil":1},"d":{"list":[{"bool":true}]}}}`, `{"stringmap":{"k":"v","j":""}}`,
	`{"nilmap":1}`, `{"nillist":1}`, `{"list":[{"bytes":"ab"},{"map":{"k":{"uint8":7}}}]}`,
}

var printfFormats = []string{
	"%", "%%", "100%", "%d %d", "%d", "no verbs", "%!", "%z", "%-", "%5", "%.3", "%[2]d %[1]d", "%[3]d", "%[x]d", "%[1]d %d", "%*d", "%-*d|", "%.*f", "%[2]*[1]d", "%*d %d",
	"%é", "%s|%v|%d", "%+v %#v", "%[1]T %[1]v", "%[5]v", "%[", "%[]d", "%[1", "%[1]", "%.[2]d", "%6.2f%%", "%[-1]d", "%2147483648d", "%.2147483648d",
}

func printfTable(enc *json.Encoder) {
	// A fixed part of all combinations: the whole of them would be 100,000 lines.
	const sampled = 3000
	r := rand.New(rand.NewSource(1))
	emit := func(format string, args ...string) {
		c := printfCase{Format: format, Args: []json.RawMessage{}}
		values := []any{}
		for _, arg := range args {
			c.Args = append(c.Args, json.RawMessage(arg))
			values = append(values, value(json.RawMessage(arg)))
		}
		c.Out = fmt.Sprintf(format, values...)
		must(enc.Encode(c))
	}
	for _, format := range printfFormats {
		for _, args := range [][]string{{}, {`{"int":7}`}, {`{"int":7}`, `{"int":3}`}, {`{"string":"a"}`, `{"float64":"2.5"}`}, {`{"int":-9}`, `{"float64":"3.14159"}`, `{"nil":1}`}} {
			emit(format, args...)
		}
	}
	for _, v := range printfValues {
		for _, verb := range "vTdsqxXobOcUeEfFgGtw" {
			emit("%"+string(verb), v)
		}
		emit("%+v", v)
		emit("%#v", v)
	}
	flags := []string{"", "+", "-", "#", " ", "0", "+#", "# ", "-0", "+0", "#0", " 0", "+-"}
	sizes := []string{"", "1", "5", "12", ".0", ".2", ".10", "8.3", "30.25"}
	verbs := []rune("vTdsqxXobOcUeEfFgGtw")
	for range sampled {
		format := "[%" + flags[r.Intn(len(flags))] + sizes[r.Intn(len(sizes))] + string(verbs[r.Intn(len(verbs))]) + "]"
		emit(format, printfValues[r.Intn(len(printfValues))])
	}
}
