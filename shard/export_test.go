package shard

import "reflect"

// Stripes returns the number of stripes of m.
func (m *Map[K, V]) Stripes() int { return len(m.stripes) }

// StripeGap returns how many bytes lie between what two neighbouring stripes write.
func (m *Map[K, V]) StripeGap() uintptr {
	stripe := reflect.TypeOf(m.stripes).Elem()
	pad, _ := stripe.FieldByName("_")
	return stripe.Size() - pad.Offset
}
