package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// scalarText returns the text that setScalar reads back, of everything but a
// secret. quote says that it must stand in quotes in YAML.
func scalarText(v reflect.Value, unit string) (text string, quote bool) {
	switch x := v.Interface().(type) {
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return err.Error(), true
		}
		return string(text), true
	case time.Duration:
		return durationText(x), false
	}
	switch {
	case unit == "bytes":
		return sizeText(v.Int()), false
	case v.Kind() == reflect.String:
		return v.String(), true
	default:
		return fmt.Sprint(v.Interface()), false
	}
}

// durationText is String without the zeros at its end: 1m and not 1m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// sizeText writes a number of bytes in the largest unit that divides it.
func sizeText(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n != 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
