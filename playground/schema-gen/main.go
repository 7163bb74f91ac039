// Reads the Go types of the Kubernetes API and its recorded discovery document, and prints one compact table: the kinds that a
// kube-apiserver serves by default, and for every field what decides how it is decoded, encoded, merged and owned.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
)

type pkg struct {
	path    string // k8s.io/api/apps/v1
	types   map[string]*ast.TypeSpec
	docs    map[string]string
	imports map[string]map[string]string // type -> what the imports of its file are called
}

var (
	roots   = map[string]string{} // module path -> directory
	loaded  = map[string]*pkg{}
	done    = map[string]bool{}
	queue   []string
	out     = bufio.NewWriter(os.Stdout)
	scalars = map[string]string{
		"string": "s", "bool": "b", "int": "i", "int32": "i", "int64": "i", "uint8": "i", "uint16": "i", "uint32": "i", "uint64": "i", "float64": "f", "float32": "f", "byte": "i",
	}
	special = map[string]string{
		"k8s.io/apimachinery/pkg/api/resource.Quantity":                                         "q",
		"k8s.io/apimachinery/pkg/util/intstr.IntOrString":                                       "x",
		"k8s.io/apimachinery/pkg/apis/meta/v1.Time":                                             "t",
		"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":                                        "u",
		"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":                                         "s",
		"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":                                         "j",
		"k8s.io/apimachinery/pkg/runtime.RawExtension":                                          "j",
		"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON":                         "j",
		"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrBool":        "j",
		"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrArray":       "j",
		"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrStringArray": "j",
	}
)

func load(path string) *pkg {
	if p, ok := loaded[path]; ok {
		return p
	}
	p := &pkg{path: path, types: map[string]*ast.TypeSpec{}, docs: map[string]string{}, imports: map[string]map[string]string{}}
	loaded[path] = p
	dir := ""
	for module, d := range roots {
		if path == module || strings.HasPrefix(path, module+"/") {
			dir = d + strings.TrimPrefix(path, module)
		}
	}
	if dir == "" {
		log.Fatalf("no module for %s", path)
	}
	files, _ := filepath.Glob(dir + "/*.go")
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			log.Fatal(err)
		}
		imports := map[string]string{}
		for _, i := range file.Imports {
			full := strings.Trim(i.Path.Value, `"`)
			short := full[strings.LastIndex(full, "/")+1:]
			if i.Name != nil {
				short = i.Name.Name
			}
			imports[short] = full
		}
		for _, d := range file.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.TypeSpec)
				p.types[spec.Name.Name] = spec
				p.imports[spec.Name.Name] = imports
				doc := comments(gen.Doc) + comments(spec.Doc)
				p.docs[spec.Name.Name] = doc
			}
		}
	}
	return p
}

func comments(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(strings.TrimSpace(strings.TrimPrefix(c.Text, "//")) + "\n")
	}
	return b.String()
}

func markers(doc, key string) []string {
	var found []string
	for _, line := range strings.Split(doc, "\n") {
		if rest, ok := strings.CutPrefix(line, "+"+key+"="); ok {
			found = append(found, strings.TrimSpace(rest))
		}
	}
	return found
}

func marker(doc, key string) string {
	if m := markers(doc, key); len(m) > 0 {
		return m[0]
	}
	return ""
}

// shape is how a Go type is written in JSON; "@name" refers to another type of the table.
func shape(p *pkg, in string, e ast.Expr) (text string, pointer bool, doc string) {
	switch t := e.(type) {
	case *ast.StarExpr:
		text, _, doc = shape(p, in, t.X)
		return text, true, doc
	case *ast.ArrayType:
		if id, ok := t.Elt.(*ast.Ident); ok && id.Name == "byte" {
			return "y", false, ""
		}
		inner, _, _ := shape(p, in, t.Elt)
		return "[" + inner, false, ""
	case *ast.MapType:
		inner, _, _ := shape(p, in, t.Value)
		return "{" + inner, false, ""
	case *ast.SelectorExpr:
		return named(load(p.imports[in][t.X.(*ast.Ident).Name]), t.Sel.Name)
	case *ast.Ident:
		if s, ok := scalars[t.Name]; ok {
			return s, false, ""
		}
		return named(p, t.Name)
	case *ast.InterfaceType:
		return "j", false, ""
	}
	log.Fatalf("%s: unknown expression %T", p.path, e)
	return "", false, ""
}

func named(p *pkg, name string) (string, bool, string) {
	full := p.path + "." + name
	if s, ok := special[full]; ok {
		return s, false, ""
	}
	spec, ok := p.types[name]
	if !ok {
		log.Fatalf("unknown type %s", full)
	}
	if _, ok := spec.Type.(*ast.StructType); ok {
		queue = append(queue, full)
		return "@" + short(full), false, p.docs[name]
	}
	text, pointer, doc := shape(p, name, spec.Type)
	return text, pointer, p.docs[name] + doc
}

func short(full string) string {
	full = strings.TrimPrefix(full, "k8s.io/")
	full = strings.Replace(full, "apimachinery/pkg/apis/", "", 1)
	full = strings.Replace(full, "apiextensions-apiserver/pkg/apis/", "", 1)
	full = strings.Replace(full, "kube-aggregator/pkg/apis/", "", 1)
	return strings.TrimPrefix(full, "api/")
}

func fields(p *pkg, in string, s *ast.StructType) {
	for _, f := range s.Fields.List {
		tag := reflect.StructTag("")
		if f.Tag != nil {
			tag = reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		}
		parts := strings.Split(tag.Get("json"), ",")
		if len(f.Names) == 0 && parts[0] == "" {
			inline(p, in, f.Type)
			continue
		}
		if len(parts) == 0 || parts[0] == "" || parts[0] == "-" {
			continue
		}
		text, pointer, typeDoc := shape(p, in, f.Type)
		doc := comments(f.Doc)
		line := " " + parts[0] + " " + text
		if pointer {
			line += " *"
		}
		for _, option := range parts[1:] {
			if option == "omitempty" {
				line += " o"
			}
			if option == "omitzero" {
				line += " z"
			}
		}
		if v := marker(doc, "listType"); v != "" {
			line += " L=" + v
			if keys := markers(doc, "listMapKey"); len(keys) > 0 {
				line += ":" + strings.Join(keys, ",")
			}
		}
		for _, d := range []string{doc, typeDoc} {
			if v := marker(d, "mapType") + marker(d, "structType"); v == "atomic" {
				line += " A"
				break
			}
		}
		if v := tag.Get("patchStrategy"); v != "" {
			line += " P=" + v + ":" + tag.Get("patchMergeKey")
		}
		if v := marker(doc, "default"); v != "" && !strings.HasPrefix(v, "ref(") && !strings.Contains(v, " ") {
			line += " D=" + v
		}
		fmt.Fprintln(out, line)
	}
}

func inline(p *pkg, in string, e ast.Expr) {
	var q *pkg
	name := ""
	switch t := e.(type) {
	case *ast.Ident:
		q, name = p, t.Name
	case *ast.SelectorExpr:
		q, name = load(p.imports[in][t.X.(*ast.Ident).Name]), t.Sel.Name
	case *ast.StarExpr:
		inline(p, in, t.X)
		return
	}
	fields(q, name, q.types[name].Type.(*ast.StructType))
}

func structure(full string) {
	if done[full] {
		return
	}
	done[full] = true
	dot := strings.LastIndex(full, ".")
	p := load(full[:dot])
	name := full[dot+1:]
	line := short(full)
	if marker(p.docs[name], "structType") == "atomic" || marker(p.docs[name], "mapType") == "atomic" {
		line += " A"
	}
	fmt.Fprintln(out, line)
	fields(p, name, p.types[name].Type.(*ast.StructType))
}

type discovery struct {
	Items []struct {
		Metadata struct{ Name string }
		Versions []struct {
			Version   string
			Resources []struct {
				Resource, SingularResource, Scope string
				Categories, ShortNames, Verbs     []string
				ResponseKind                      gvk
				Subresources                      []struct {
					Subresource  string
					Verbs        []string
					ResponseKind gvk
				}
			}
		}
	}
}

type gvk struct{ Group, Version, Kind string }

func orDash(list []string) string {
	if len(list) == 0 || list[0] == "" {
		return "-"
	}
	return strings.Join(list, ",")
}

// home is the Go package of a group and version.
func home(group, version string) string {
	switch group {
	case "":
		return "k8s.io/api/core/" + version
	case "apiextensions.k8s.io":
		return "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/" + version
	case "apiregistration.k8s.io":
		return "k8s.io/kube-aggregator/pkg/apis/apiregistration/" + version
	}
	name := strings.Split(group, ".")[0]
	return "k8s.io/api/" + name + "/" + version
}

func kinds(file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	var d discovery
	if err := json.Unmarshal(data, &d); err != nil {
		log.Fatal(err)
	}
	for _, group := range d.Items {
		for _, v := range group.Versions {
			// Alpha and beta versions are not served by default.
			if strings.Contains(v.Version, "alpha") || strings.Contains(v.Version, "beta") {
				continue
			}
			for _, r := range v.Resources {
				g, version := r.ResponseKind.Group, r.ResponseKind.Version
				if g == "" && group.Metadata.Name != "" {
					g = group.Metadata.Name
				}
				if version == "" {
					version = v.Version
				}
				full := home(g, version) + "." + r.ResponseKind.Kind
				queue = append(queue, full)
				scope := "N"
				if r.Scope == "Cluster" {
					scope = "C"
				}
				fmt.Fprintf(out, "!%s %s %s %s %s %s %s %s %s %s\n", orDash([]string{group.Metadata.Name}), v.Version, r.Resource, r.SingularResource, r.ResponseKind.Kind, scope,
					orDash(r.ShortNames), orDash(r.Categories), orDash(r.Verbs), short(full))
				sort.Slice(r.Subresources, func(i, j int) bool { return r.Subresources[i].Subresource < r.Subresources[j].Subresource })
				for _, s := range r.Subresources {
					k := s.ResponseKind
					fmt.Fprintf(out, "+%s %s %s %s %s\n", s.Subresource, orDash([]string{k.Group}), orDash([]string{k.Version}), k.Kind, orDash(s.Verbs))
				}
			}
		}
	}
}

// core prints the kinds of the core group, which has a discovery document of the old form only.
func core(file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	var d struct {
		Resources []struct {
			Name, SingularName, Group, Version, Kind string
			Namespaced                               bool
			Categories, ShortNames, Verbs            []string
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		log.Fatal(err)
	}
	for _, r := range d.Resources {
		if _, sub, ok := strings.Cut(r.Name, "/"); ok {
			fmt.Fprintf(out, "+%s %s %s %s %s\n", sub, orDash([]string{r.Group}), orDash([]string{r.Version}), r.Kind, orDash(r.Verbs))
			continue
		}
		queue = append(queue, "k8s.io/api/core/v1."+r.Kind)
		scope := "C"
		if r.Namespaced {
			scope = "N"
		}
		fmt.Fprintf(out, "!- v1 %s %s %s %s %s %s %s core/v1.%s\n", r.Name, r.SingularName, r.Kind, scope, orDash(r.ShortNames), orDash(r.Categories), orDash(r.Verbs), r.Kind)
	}
}

func main() {
	log.SetFlags(0)
	api := flag.String("api", "", "directory of k8s.io/api")
	machinery := flag.String("apimachinery", "", "directory of k8s.io/apimachinery")
	extensions := flag.String("apiextensions", "", "directory of k8s.io/apiextensions-apiserver")
	aggregator := flag.String("aggregator", "", "directory of k8s.io/kube-aggregator")
	kubernetes := flag.String("kubernetes", "", "directory of k8s.io/kubernetes")
	flag.Parse()
	roots["k8s.io/api"] = *api
	roots["k8s.io/apimachinery"] = *machinery
	roots["k8s.io/apiextensions-apiserver"] = *extensions
	roots["k8s.io/kube-aggregator"] = *aggregator
	fmt.Fprintln(out, "# Generated by playground/schema-gen/generate.sh from the Kubernetes API types (Apache-2.0, see NOTICE). Do not edit.")
	core(*kubernetes + "/api/discovery/api__v1.json")
	kinds(*kubernetes + "/api/discovery/aggregated_v2.json")
	queue = append(queue, "k8s.io/api/autoscaling/v1.Scale", "k8s.io/apimachinery/pkg/apis/meta/v1.DeleteOptions", "k8s.io/api/authentication/v1.TokenRequest", "k8s.io/api/policy/v1.Eviction")
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		structure(next)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}
