// Package bench is the load generator behind `sluice bench`: scenarios that put
// a server under one kind of load, and say what it cost.
//
// A scenario meets the server over its sockets, and reads the server's memory
// and processor time from /proc where it is told the process. It knows the
// protocol of Sluice, and a simpler one with which bare servers can be measured
// for comparison; see Fanout.
//
// The connections are package swarm's; what their roles keep belongs to the
// loop of each. A scenario's Run is called from one goroutine, and bounded in
// time by its own flags and by its context.
package bench
