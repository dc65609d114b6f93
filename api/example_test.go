package api_test

import (
	"fmt"
	"io"
	"net/http/httptest"

	"sluice/api"
)

func ExampleNewOps() {
	healthy := func() (bool, string) { return true, "" }
	ready := func() (bool, string) { return false, "starting" }
	metrics := func(w io.Writer) { fmt.Fprintln(w, "sluice_connections 3") }
	ops := api.NewOps(api.Ops{Healthy: healthy, Ready: ready, WriteMetrics: metrics})

	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		w := httptest.NewRecorder()
		ops.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 ok
	// 503 starting
	// 200 sluice_connections 3
}
