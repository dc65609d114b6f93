package api

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"go.yaml.in/yaml/v3"
)

// openAPI describes the data plane for machines. A test holds it against the
// handlers.
//
//go:embed openapi.yaml
var openAPI []byte

// openAPIJSON is the same as JSON, made when somebody asks first.
var openAPIJSON = sync.OnceValue(func() []byte {
	var document any
	err := yaml.Unmarshal(openAPI, &document)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(document); err == nil {
			return text
		}
	}
	panic("api: openapi.yaml: " + err.Error()) // a bug: it is part of the program
})

// handleOpenAPI adds the document. It asks for no token: it is the same for
// everybody, and public.
func handleOpenAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		document(w, "application/yaml", openAPI)
	})
	mux.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		document(w, "application/json", openAPIJSON())
	})
}

func document(w http.ResponseWriter, contentType string, text []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(text) // a caller that has gone needs no answer
}
