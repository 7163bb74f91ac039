package main

import (
	"fmt"
	"sort"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	gvkExtension      = "x-kubernetes-group-version-kind"
	strategyExtension = "x-kubernetes-patch-strategy"
	keyExtension      = "x-kubernetes-patch-merge-key"
	mapKeysExtension  = "x-kubernetes-list-map-keys"
)

// A shape is what a strategic merge needs to know of a schema: where its fields lead and how a list merges.
// Shapes from which no merging list can be reached are left out: an unknown list is replaced in the same way.
type shape struct {
	fields     map[string]string
	additional string
	items      string
	strategy   string
	keys       []string
	useful     bool
}

type shapes struct {
	definitions spec.Definitions
	byName      map[string]*shape
}

// `scope` lines say which types have a namespace; `type` lines give a type's shape; `definition` lines give the shape
// of what a schema of one's own may refer to or replace; `shape` lines give, for each shape, its strategy, merge keys,
// item shape, shape of other fields, and then its fields.
func schema() ([]string, error) {
	s := &shapes{definitions: openapi.Schema().Definitions, byName: map[string]*shape{}}
	for name := range s.definitions {
		definition := s.definitions[name]
		s.add(name, &definition)
	}
	s.markUseful()

	types := map[string]string{}
	scopes := map[string]bool{}
	for name := range s.definitions {
		for _, t := range typesOf(s.definitions[name]) {
			if s.byName[name].useful {
				types[t.APIVersion+"\t"+t.Kind] = name
			}
			if namespaced, known := openapi.IsNamespaceScoped(t); known {
				scopes[t.APIVersion+"\t"+t.Kind] = namespaced
			}
		}
	}
	numbers := map[string]int{}
	for _, name := range sortedKeys(s.byName) {
		if s.byName[name].useful {
			numbers[name] = len(numbers)
		}
	}
	var lines []string
	for _, t := range sortedKeys(scopes) {
		lines = append(lines, fmt.Sprintf("scope\t%s\t%t", t, scopes[t]))
	}
	for _, t := range sortedKeys(types) {
		lines = append(lines, fmt.Sprintf("type\t%s\t%d", t, numbers[types[t]]))
	}
	for _, name := range sortedKeys(numbers) {
		if _, ok := s.definitions[name]; ok {
			lines = append(lines, fmt.Sprintf("definition\t%s\t%d", name, numbers[name]))
		}
	}
	for _, name := range sortedKeys(numbers) {
		lines = append(lines, s.byName[name].line(numbers))
	}
	return lines, nil
}

func (s *shapes) add(name string, schema *spec.Schema) string {
	if ref := schema.Ref.String(); ref != "" {
		return strings.TrimPrefix(ref, "#/definitions/")
	}
	result := &shape{fields: map[string]string{}}
	s.byName[name] = result
	if text, ok := schema.Extensions[strategyExtension].(string); ok {
		result.strategy = text
	}
	if list, ok := schema.Extensions[mapKeysExtension].([]interface{}); ok {
		for _, key := range list {
			result.keys = append(result.keys, key.(string))
		}
	} else if key, ok := schema.Extensions[keyExtension].(string); ok {
		result.keys = []string{key}
	}
	if result.strategy == "" {
		result.keys = nil
	}
	for field := range schema.Properties {
		property := schema.Properties[field]
		result.fields[field] = s.add(name+"\x00"+field, &property)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		result.additional = s.add(name+"\x00\x00", schema.AdditionalProperties.Schema)
	}
	if len(schema.Type) == 1 && schema.Type[0] == "array" && schema.Items != nil && schema.Items.Schema != nil {
		result.items = s.add(name+"\x00[]", schema.Items.Schema)
	}
	return name
}

func (s *shapes) markUseful() {
	for changed := true; changed; {
		changed = false
		for _, shape := range s.byName {
			if shape.useful {
				continue
			}
			useful := shape.strategy != "" || s.leads(shape.additional) || s.leads(shape.items)
			for _, target := range shape.fields {
				useful = useful || s.leads(target)
			}
			shape.useful = useful
			changed = changed || useful
		}
	}
}

func (s *shapes) leads(name string) bool {
	target, ok := s.byName[name]
	return ok && target.useful
}

func (s *shape) line(numbers map[string]int) string {
	number := func(name string) string {
		if n, ok := numbers[name]; ok && name != "" {
			return fmt.Sprint(n)
		}
		return ""
	}
	columns := []string{"shape", s.strategy, strings.Join(s.keys, ","), number(s.items), number(s.additional)}
	for _, field := range sortedKeys(s.fields) {
		if n := number(s.fields[field]); n != "" {
			columns = append(columns, field+"="+n)
		}
	}
	return strings.Join(columns, "\t")
}

func typesOf(schema spec.Schema) []yaml.TypeMeta {
	list, ok := schema.Extensions[gvkExtension].([]interface{})
	if !ok {
		return nil
	}
	var result []yaml.TypeMeta
	for _, item := range list {
		m, ok := item.(map[string]interface{})
		if !ok {
			continue
		}
		group, _ := m["group"].(string)
		version, _ := m["version"].(string)
		kind, _ := m["kind"].(string)
		if group != "" {
			version = group + "/" + version
		}
		result = append(result, yaml.TypeMeta{APIVersion: version, Kind: kind})
	}
	return result
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
