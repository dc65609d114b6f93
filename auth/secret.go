package auth

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted stands where a secret was.
const redacted = "[redacted]"

// Secret is text that must not be seen. It prints as "[redacted]" by every verb
// of fmt, in slog, JSON and YAML; string(s) is the one way to the text.
//
// fmt does not ask the methods of unexported fields, so a struct with a Secret
// in one must not be printed.
type Secret string

func (Secret) String() string { return redacted }

// Format implements fmt.Formatter: String alone would not cover %#v and %d.
func (Secret) Format(s fmt.State, _ rune) { io.WriteString(s, redacted) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText covers JSON, YAML and every other encoder of text.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
