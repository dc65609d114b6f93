package shard_test

import (
	"fmt"
	"slices"

	"sluice/shard"
)

// Users and their open connections: a user is in the map while at least one
// connection is, and Compute makes both steps one.
func Example() {
	online := shard.New[string, int](256)

	connect := func(user string) {
		online.Compute(user, func(open int, _ bool) (int, bool) { return open + 1, true })
	}
	disconnect := func(user string) {
		online.Compute(user, func(open int, _ bool) (int, bool) { return open - 1, open > 1 })
	}

	connect("ann")
	connect("ann")
	connect("bob")
	disconnect("bob")

	if open, ok := online.Load("ann"); ok {
		fmt.Println("ann has", open, "connections")
	}
	_, ok := online.Load("bob")
	fmt.Println("bob is online:", ok)
	// Output:
	// ann has 2 connections
	// bob is online: false
}

// The body of the loop runs without a lock, so it may use the map.
func ExampleMap_Range() {
	idle := shard.New[string, int](256) // seconds without traffic
	idle.Store("ann", 12)
	idle.Store("bob", 95)
	idle.Store("eve", 61)

	var closed []string
	for user, seconds := range idle.Range {
		if seconds > 60 {
			idle.Delete(user)
			closed = append(closed, user)
		}
	}
	slices.Sort(closed)
	fmt.Println(closed, idle.Len())
	// Output: [bob eve] 1
}
