package metrics_test

import (
	"bytes"
	"fmt"
	"strings"

	"sluice/internal/metrics"
)

func ExampleNode() {
	m := metrics.New()
	m.OnScrape(func() { m.Connections.Set(2) }) // kept elsewhere, copied in
	m.HandshakeRejections.With("token_missing").Inc()

	var page bytes.Buffer
	m.WritePrometheus(&page)
	for line := range strings.Lines(page.String()) {
		if strings.Contains(line, "sluice_connections ") || strings.Contains(line, "token_missing") {
			fmt.Print(line)
		}
	}
	// Output:
	// # HELP sluice_connections WebSocket connections that are open.
	// # TYPE sluice_connections gauge
	// sluice_connections 2
	// sluice_handshake_rejections_total{reason="token_missing"} 1
}
