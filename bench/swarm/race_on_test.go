//go:build race

package swarm

const race = true
