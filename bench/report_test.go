package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
	"time"

	"sluice/bench/hdr"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a report with something in every part of it.
func sampleReport() *Report {
	r := &Report{
		Scenario: "echo",
		Started:  time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Seconds:  12.25,
		Config:   map[string]string{"depth": "16", "size": "128"},
		Environment: Environment{
			Sluice: "sluice v1.2.3", Go: "go1.26", Kernel: "6.18.0", Cores: 2,
			ClientCores: "1", Server: "a<b>", ServerCores: "0", LoadBefore: "0.10 0.20 0.30",
		},
		Failed: map[string]int{"handshake: HTTP 503": 3, "connect: connection refused": 3, "timeout in handshake": 7},
		Lost:   map[string]int{"close 1001 going_away": 1},
		Notes:  []string{"A note."},
	}
	var h hdr.Histogram
	for i := range 1000 {
		h.Record(time.Duration(i+1) * 10 * time.Microsecond)
	}
	r.add("messages_per_second", 123456.7, "answers")
	r.addLatency(&h, "from sending to the answer")
	for i := range 4 {
		r.Series = append(r.Series, Sample{Seconds: float64(i), Open: 10 * i,
			Usage: Usage{RSS: int64(20+i) << 20, User: time.Duration(i) * 500 * time.Millisecond}})
	}
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update writes it):\n%s", file, got)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", b.Bytes())
}

func TestHTML(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.html", b.Bytes())
	if m := regexp.MustCompile(`(?i)https?:|src=|<link|@import|url\(`).Find(b.Bytes()); m != nil {
		t.Errorf("the page is not self-contained: %s", m)
	}
	if bytes.Contains(b.Bytes(), []byte("a<b>")) {
		t.Error("the name of the server is not escaped")
	}
	if err := new(Report).WriteHTML(&b); err != nil {
		t.Errorf("an empty report: %v", err)
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	want := sampleReport()
	if err := want.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || !reflect.DeepEqual(&got, want) {
		t.Errorf("%v: got %+v, want %+v", err, &got, want)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", -3: "-3", 15000: "15000", 123456.7: "123457", 999.96: "1000.0", 451.25: "451.2",
		12.345: "12.35", 3.14159: "3.142", 0.5: "0.5000", 0.0234: "0.02340", 0.0000012: "0.0000012", -0.5: "-0.5000",
	} {
		if got := number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
