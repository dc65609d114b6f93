package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// described is the document, valid by itself.
var described = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err == nil {
		err = doc.Validate(context.Background()) // the examples too
	}
	return doc, err
})

// otherRoutes are what stands in the mux beside the operations.
func otherRoutes() []string {
	return []string{"HEAD /api/health", "GET /api/openapi.yaml", "GET /api/openapi.json"}
}

// TestOpenAPIRoutes: the document has every route and no other, and each says
// what it answers where something is wrong.
func TestOpenAPIRoutes(t *testing.T) {
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	ids := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			got = append(got, method+" "+path)
			if ids[o.OperationID] || o.OperationID == "" || o.Summary == "" {
				t.Errorf("%s %s: operationId %q, summary %q", method, path, o.OperationID, o.Summary)
			}
			ids[o.OperationID] = true
		}
	}
	want := otherRoutes()
	for _, o := range operations {
		want = append(want, o.route)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the document has\n%s\nthe mux has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// checked serves like h, and holds every request and answer of an operation
// against the document: what is answered well must have been allowed there, and
// what is answered must stand there.
func checked(t *testing.T, h http.Handler) http.Handler {
	t.Helper()
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", h)
	for _, o := range operations {
		method, path, _ := strings.Cut(o.route, " ")
		item := doc.Paths.Value(path)
		if item == nil || item.GetOperation(method) == nil {
			t.Fatalf("%s is not in the document", o.route)
		}
		route := &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)}
		mux.HandleFunc(o.route, func(w http.ResponseWriter, r *http.Request) { check(t, h, route, w, r) })
	}
	return mux
}

func check(t *testing.T, h http.Handler, route *routers.Route, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil { // the handler finds out as well
		r.Body = io.NopCloser(brokenBody{})
		h.ServeHTTP(w, r)
		return
	}
	params := map[string]string{}
	for _, name := range []string{"hub", "group", "user", "id", "permission", "list"} {
		if v := r.PathValue(name); v != "" {
			params[name] = v
		}
	}
	copied := r.Clone(t.Context())
	copied.Body = io.NopCloser(bytes.NewReader(body))
	if copied.Header.Get("Content-Type") == "" {
		copied.Header.Set("Content-Type", "application/octet-stream")
	}
	input := &openapi3filter.RequestValidationInput{
		Request: copied, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
			MultiError:            true,
		},
	}
	notAllowed := openapi3filter.ValidateRequest(t.Context(), input)

	answer := httptest.NewRecorder()
	r.Body = io.NopCloser(bytes.NewReader(body))
	h.ServeHTTP(answer, r)
	// sendMany refuses an item in an answer of 200.
	if notAllowed != nil && answer.Code < 300 && !bytes.Contains(answer.Body.Bytes(), []byte(`"error":`)) {
		t.Errorf("%s %s: answered %d, and the document does not allow it: %v", r.Method, r.URL, answer.Code, notAllowed)
	}
	if err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: answer.Code, Header: answer.Header(),
		Body: io.NopCloser(bytes.NewReader(answer.Body.Bytes())), Options: input.Options,
	}); err != nil {
		t.Errorf("%s %s: the answer %d is not as in the document: %v: %s", r.Method, r.URL, answer.Code, err, answer.Body)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// TestOpenAPIServed: the document is there without a token, in both forms.
func TestOpenAPIServed(t *testing.T) {
	h := NewData(dataOf(&fakeHub{}))
	for _, tt := range []struct{ path, contentType string }{
		{"/api/openapi.yaml", "application/yaml"}, {"/api/openapi.json", "application/json"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", tt.path, nil))
		doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
		if err != nil || w.Code != 200 || w.Header().Get("Content-Type") != tt.contentType || doc.Paths.Len() == 0 {
			t.Errorf("%s: status %d, %v, %v", tt.path, w.Code, w.Header(), err)
		}
	}
}

// TestOpenAPIVersions: the versions and limits that the document names are those
// of the code.
func TestOpenAPIVersions(t *testing.T) {
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	var enum []string
	for _, v := range doc.Components.Parameters["apiVersion"].Value.Schema.Value.Enum {
		enum = append(enum, fmt.Sprint(v))
	}
	if !slices.Equal(enum, versions) || doc.Info.Version != versions[len(versions)-1] {
		t.Errorf("the document has %q and %q", enum, doc.Info.Version)
	}
	if most := doc.Components.Schemas["Many"].Value.Properties["messages"].Value.MaxItems; most == nil || *most != maxMany {
		t.Error("the document has another number of messages in one call")
	}
	if !json.Valid(openAPIJSON()) {
		t.Error("no JSON")
	}
}
