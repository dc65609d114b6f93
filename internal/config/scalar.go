package config

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setScalar gives a field its value from text. The error says what is wrong
// with the text and what to write. isScalar must hold for the field's type.
func setScalar(field reflect.Value, unit, text string) error {
	if p, ok := field.Addr().Interface().(*netip.Prefix); ok {
		return setPrefix(p, text)
	}
	if u, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if field.Type() == reflect.TypeFor[time.Duration]() {
		d, err := parseDuration(text)
		field.SetInt(int64(d))
		return err
	}
	if unit == "bytes" {
		n, err := parseSize(text)
		if err == nil && field.OverflowInt(n) {
			err = fmt.Errorf("%q is too large", text)
		}
		field.SetInt(n)
		return err
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
		return nil
	case reflect.Bool:
		return setBool(field, text)
	case reflect.Float32, reflect.Float64:
		return setFloat(field, text)
	default:
		return setInteger(field, text)
	}
}

// isScalar reports whether a value of the type is one piece of text.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

// setPrefix reads a range of addresses. What netip says about one that is none
// is for programmers.
func setPrefix(p *netip.Prefix, text string) error {
	parsed, err := netip.ParsePrefix(text)
	if err == nil {
		*p = parsed
		return nil
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return fmt.Errorf("%q is an address and no range; write %s", text, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return fmt.Errorf(`%q is no range of addresses; write one as "10.0.0.0/8" or "2001:db8::/32"`, text)
}

func setBool(field reflect.Value, text string) error {
	if text != "true" && text != "false" {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	field.SetBool(text == "true")
	return nil
}

func setFloat(field reflect.Value, text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%q is not a number", text)
	}
	field.SetFloat(f)
	return nil
}

func setInteger(field reflect.Value, text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a whole number, or too large", text)
	}
	if field.CanInt() && !field.OverflowInt(n) {
		field.SetInt(n)
		return nil
	}
	if field.CanUint() && n >= 0 && !field.OverflowUint(uint64(n)) {
		field.SetUint(uint64(n))
		return nil
	}
	return fmt.Errorf("%q is out of range", text)
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit; write %ss for seconds, or ms, m, h", text, text)
	}
	return 0, fmt.Errorf("%q is not a duration; write one as 30s, 500ms or 1h30m", text)
}

// sizeUnits are what may follow the number of a size, in lower case.
var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
}

// parseSize reads a number of bytes, as 65536, 64KiB or 1 MB.
func parseSize(text string) (int64, error) {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	unit, known := sizeUnits[strings.ToLower(strings.TrimSpace(text[digits:]))]
	if digits == 0 || !known {
		return 0, fmt.Errorf("%q is not a size; write one as 65536, 64KiB or 1MiB", text)
	}
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return n * unit, nil
}
