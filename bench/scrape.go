package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// scrape reads one metric without labels from the operations listener.
func scrape(ctx context.Context, ops, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("--ops %s: %w", ops, err)
	}
	req.Close = true // an idle connection of ours would be two goroutines of the server's
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("--ops %s: %w", ops, err)
	}
	defer resp.Body.Close()
	v, err := findMetric(resp.Body, name)
	if err != nil {
		return 0, fmt.Errorf("--ops %s: %w", ops, err)
	}
	return v, nil
}

func findMetric(r io.Reader, name string) (float64, error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		if value, ok := strings.CutPrefix(s.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	if err := s.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}
