// Command goyaml answers what Go's YAML libraries make of a text.
//
// It reads JSON lines {"op": ..., "text": ...} on standard input, the text in base64, and answers each with a JSON line
// {"out": ...} or {"err": ...}, with "random" where Go itself does not always say the same. It exists to be compared with capstan-goyaml.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	yamlv3 "go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"
)

type request struct {
	Op   string `json:"op"`
	Text []byte `json:"text"`
}

type response struct {
	Out    *string `json:"out,omitempty"`
	Err    *string `json:"err,omitempty"`
	Random bool    `json:"random,omitempty"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			answer(line, out)
		}
		if err != nil {
			break
		}
	}
	out.Flush()
}

func answer(line []byte, out io.Writer) {
	var req request
	var res response
	if err := json.Unmarshal(line, &req); err != nil {
		fmt.Fprintln(os.Stderr, "goyaml: bad request:", err)
		os.Exit(1)
	}
	text, err := run(req)
	// Go's maps have no order, and sometimes the answer has none either.
	for i := 0; i < 60; i++ {
		again, errAgain := run(req)
		res.Random = res.Random || again != text || fmt.Sprint(err) != fmt.Sprint(errAgain)
	}
	if err != nil {
		message := err.Error()
		res.Err = &message
	} else {
		res.Out = &text
	}
	encoded, err := json.Marshal(res)
	if err != nil {
		fmt.Fprintln(os.Stderr, "goyaml: cannot answer:", err)
		os.Exit(1)
	}
	fmt.Fprintf(out, "%s\n", encoded)
}

func run(req request) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	switch req.Op {
	case "sigs-to-json":
		out, err := sigs.YAMLToJSON(req.Text)
		return string(out), err
	case "sigs-to-json-strict":
		out, err := sigs.YAMLToJSONStrict(req.Text)
		return string(out), err
	case "sigs-object":
		object := map[string]interface{}{}
		if err := sigs.Unmarshal(req.Text, &object); err != nil {
			return "", err
		}
		out, err := json.Marshal(object)
		return string(out), err
	case "sigs-marshal":
		value, err := fromJSON(req.Text)
		if err != nil {
			return "", err
		}
		out, err := sigs.Marshal(value)
		return string(out), err
	case "v3-marshal":
		value, err := fromJSON(req.Text)
		if err != nil {
			return "", err
		}
		var buffer bytes.Buffer
		encoder := yamlv3.NewEncoder(&buffer)
		encoder.SetIndent(2)
		err = encoder.Encode(value)
		return buffer.String(), err
	case "v3-to-json":
		var value interface{}
		if err := yamlv3.Unmarshal(req.Text, &value); err != nil {
			return "", err
		}
		out, err := json.Marshal(value)
		return string(out), err
	case "v3-object-to-json":
		value := map[string]interface{}{}
		if err := yamlv3.Unmarshal(req.Text, &value); err != nil {
			return "", err
		}
		out, err := json.Marshal(value)
		return string(out), err
	case "v3-tree":
		return tree(req.Text)
	case "v3-compact", "v3-wide", "v3-default":
		return reemit(req.Text, req.Op)
	}
	return "", fmt.Errorf("unknown op %q", req.Op)
}

// Integers stay integers, so that both sides start from the same value.
func fromJSON(text []byte) (interface{}, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value interface{}
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return numbers(value)
}

func numbers(value interface{}) (interface{}, error) {
	var err error
	switch value := value.(type) {
	case json.Number:
		if i, err := value.Int64(); err == nil {
			return i, nil
		}
		return value.Float64()
	case []interface{}:
		for i := range value {
			if value[i], err = numbers(value[i]); err != nil {
				return nil, err
			}
		}
	case map[string]interface{}:
		for key := range value {
			if value[key], err = numbers(value[key]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func documents(text []byte) ([]*yamlv3.Node, error) {
	var nodes []*yamlv3.Node
	decoder := yamlv3.NewDecoder(bytes.NewReader(text))
	for {
		var node yamlv3.Node
		err := decoder.Decode(&node)
		if err == io.EOF {
			return nodes, nil
		}
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, &node)
	}
}

func reemit(text []byte, op string) (string, error) {
	nodes, err := documents(text)
	if err != nil {
		return "", err
	}
	if len(nodes) == 0 {
		return "", nil
	}
	var buffer bytes.Buffer
	encoder := yamlv3.NewEncoder(&buffer)
	if op != "v3-default" {
		encoder.SetIndent(2)
	}
	if op == "v3-compact" {
		encoder.CompactSeqIndent()
	}
	for _, node := range nodes {
		if err := encoder.Encode(node); err != nil {
			return "", err
		}
	}
	err = encoder.Close()
	return buffer.String(), err
}

// One line of JSON for each node, in document order.
func tree(text []byte) (string, error) {
	nodes, err := documents(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	for _, node := range nodes {
		comments := []string{node.HeadComment, node.LineComment, node.FootComment}
		if err := encoder.Encode([]interface{}{"document", comments}); err != nil {
			return "", err
		}
		for _, child := range node.Content {
			if err := write(encoder, child, 1); err != nil {
				return "", err
			}
		}
	}
	return out.String(), nil
}

func write(out *json.Encoder, node *yamlv3.Node, depth int) error {
	kind := map[yamlv3.Kind]string{
		yamlv3.SequenceNode: "sequence", yamlv3.MappingNode: "mapping", yamlv3.ScalarNode: "scalar", yamlv3.AliasNode: "alias",
	}[node.Kind]
	comments := []string{node.HeadComment, node.LineComment, node.FootComment}
	line := []interface{}{depth, kind, node.Style, node.Tag, node.Anchor, node.Line, node.Column, node.Value, comments}
	if err := out.Encode(line); err != nil {
		return err
	}
	for _, child := range node.Content {
		if err := write(out, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}
