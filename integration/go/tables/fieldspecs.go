package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"
)

type backReference struct {
	resid.Gvk `json:",inline,omitempty"`
	Referrers types.FsSlice `json:"fieldSpecs,omitempty"`
}

type config struct {
	NamePrefix        types.FsSlice   `json:"namePrefix,omitempty"`
	NameSuffix        types.FsSlice   `json:"nameSuffix,omitempty"`
	NameSpace         types.FsSlice   `json:"namespace,omitempty"`
	CommonLabels      types.FsSlice   `json:"commonLabels,omitempty"`
	Labels            types.FsSlice   `json:"labels,omitempty"`
	TemplateLabels    types.FsSlice   `json:"templateLabels,omitempty"`
	CommonAnnotations types.FsSlice   `json:"commonAnnotations,omitempty"`
	NameReference     []backReference `json:"nameReference,omitempty"`
	VarReference      types.FsSlice   `json:"varReference,omitempty"`
	Images            types.FsSlice   `json:"images,omitempty"`
	Replicas          types.FsSlice   `json:"replicas,omitempty"`
}

// One line per field: section, group, version, kind, whether it is created, path. A line `target` opens
// the fields that refer to objects of that type.
func fieldSpecs() ([]string, error) {
	text, err := defaultConfig()
	if err != nil {
		return nil, err
	}
	var all config
	if err := yaml.UnmarshalStrict([]byte(text), &all); err != nil {
		return nil, err
	}
	var lines []string
	section := func(name string, specs types.FsSlice) {
		sort.Sort(specs)
		for _, spec := range specs {
			lines = append(lines, fmt.Sprintf("%s\t%s\t%t\t%s", name, gvk(spec.Gvk), spec.CreateIfNotPresent, spec.Path))
		}
	}
	section("namePrefix", all.NamePrefix)
	section("nameSuffix", all.NameSuffix)
	section("namespace", all.NameSpace)
	section("commonLabels", all.CommonLabels)
	section("labels", all.Labels)
	section("templateLabels", all.TemplateLabels)
	section("commonAnnotations", all.CommonAnnotations)
	section("varReference", all.VarReference)
	section("images", all.Images)
	section("replicas", all.Replicas)
	sort.Slice(all.NameReference, func(i, j int) bool {
		return all.NameReference[i].Gvk.IsLessThan(all.NameReference[j].Gvk)
	})
	for _, target := range all.NameReference {
		lines = append(lines, "target\t"+gvk(target.Gvk))
		for _, spec := range target.Referrers {
			lines = append(lines, fmt.Sprintf("nameReference\t%s\t%t\t%s", gvk(spec.Gvk), spec.CreateIfNotPresent, spec.Path))
		}
	}
	return lines, nil
}

func gvk(g resid.Gvk) string {
	return g.Group + "\t" + g.Version + "\t" + g.Kind
}

// The package that holds the defaults is internal, so its constants are read from its source.
func defaultConfig() (string, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kustomize/api").Output()
	if err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "internal/konfig/builtinpluginconsts/*.go"))
	if err != nil {
		return "", err
	}
	values := map[string]ast.Expr{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return "", err
		}
		for _, decl := range parsed.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				value := spec.(*ast.ValueSpec)
				for i, name := range value.Names {
					values[name.Name] = value.Values[i]
				}
			}
		}
	}
	var text strings.Builder
	for _, name := range []string{
		"namePrefixFieldSpecs", "nameSuffixFieldSpecs", "commonLabelFieldSpecs", "templateLabelFieldSpecs",
		"commonAnnotationFieldSpecs", "namespaceFieldSpecs", "varReferenceFieldSpecs", "nameReferenceFieldSpecs",
		"imagesFieldSpecs", "replicasFieldSpecs",
	} {
		value, err := evaluate(values, values[name])
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		text.WriteString(value + "\n")
	}
	return text.String(), nil
}

func evaluate(values map[string]ast.Expr, expr ast.Expr) (string, error) {
	switch e := expr.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(e.Value)
	case *ast.Ident:
		return evaluate(values, values[e.Name])
	case *ast.BinaryExpr:
		left, err := evaluate(values, e.X)
		if err != nil {
			return "", err
		}
		right, err := evaluate(values, e.Y)
		return left + right, err
	}
	return "", fmt.Errorf("not a constant text: %T", expr)
}
