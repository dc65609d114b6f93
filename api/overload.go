package api

import (
	"net/http"
	"strconv"
)

// overloadRetry is what publishers are told to wait for while the node is
// overloaded, in seconds: it takes some to be over.
const overloadRetry = 5

// overloaded refuses a publication while the node is: it would make work for the
// loops and bytes for the queues. What manages connections is done all the same,
// because it may be what helps.
func (d *Data) overloaded() *problem {
	if d.Overloaded == nil || !d.Overloaded() {
		return nil
	}
	return &problem{status: http.StatusServiceUnavailable, Code: codeUnavailable, Message: "the node is overloaded and takes no messages; try again later",
		header: [2]string{"Retry-After", strconv.Itoa(overloadRetry)}}
}
