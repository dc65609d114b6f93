package metrics

import (
	"bytes"
	"strings"

	vm "github.com/VictoriaMetrics/metrics"
)

// processFamilies are the figures of the process and the Go runtime that we
// show, sorted by name. VictoriaMetrics has more; the rest says the same twice,
// or breaks the naming rules (gauges named _total).
var processFamilies = []struct{ name, kind, help string }{
	{"go_gc_cpu_seconds_total", "counter", "Estimated CPU time spent in garbage collection."},
	{"go_gc_duration_seconds", "summary", "Pauses of garbage collection cycles."},
	{"go_gomaxprocs", "gauge", "Operating system threads that run Go code at the same time."},
	{"go_goroutines", "gauge", "Goroutines that exist."},
	{"go_info", "gauge", "Go release of the binary; always 1."},
	{"go_memlimit_bytes", "gauge", "Soft memory limit (GOMEMLIMIT)."},
	{"go_memstats_alloc_bytes_total", "counter", "Bytes allocated on the heap since the start."},
	{"go_memstats_heap_inuse_bytes", "gauge", "Heap memory that holds objects."},
	{"go_memstats_heap_objects", "gauge", "Objects on the heap."},
	{"go_memstats_mallocs_total", "counter", "Objects allocated on the heap since the start."},
	{"go_memstats_next_gc_bytes", "gauge", "Heap size at which the next garbage collection starts."},
	{"go_memstats_stack_inuse_bytes", "gauge", "Memory of goroutine stacks."},
	{"go_memstats_sys_bytes", "gauge", "Memory obtained from the operating system."},
	{"process_cpu_seconds_total", "counter", "CPU time spent, user and system."},
	{"process_major_pagefaults_total", "counter", "Page faults that needed the disk."},
	{"process_max_fds", "gauge", "File descriptors the process may open."},
	{"process_num_threads", "gauge", "Threads of the process."},
	{"process_open_fds", "gauge", "File descriptors that are open."},
	{"process_resident_memory_bytes", "gauge", "Memory of the process that is in RAM."},
	{"process_resident_memory_peak_bytes", "gauge", "The most memory of the process that was in RAM so far."},
	{"process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970."},
	{"process_virtual_memory_bytes", "gauge", "Address space of the process."},
}

// writeProcess appends the process families that this operating system has.
func writeProcess(page *bytes.Buffer) {
	var all bytes.Buffer
	vm.WriteProcessMetrics(&all)
	vm.WriteFDMetrics(&all)

	samples := map[string][]string{} // lines by family, in their order
	for line := range strings.Lines(all.String()) {
		name := line[:strings.IndexAny(line, "{ ")]
		// the parts of a summary belong to it; no other family ends so
		name = strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
		samples[name] = append(samples[name], line)
	}
	for _, f := range processFamilies {
		if len(samples[f.name]) == 0 {
			continue
		}
		writeHead(page, f.name, f.kind, f.help)
		for _, line := range samples[f.name] {
			page.WriteString(line)
		}
	}
}
