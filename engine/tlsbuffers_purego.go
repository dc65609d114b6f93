//go:build purego

package engine

import "crypto/tls"

// letGo would give buffers back; see tlsbuffers.go.
func letGo(*tls.Conn) {}
