//go:build !linux

package swarm

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// poller needs epoll. Here are the declarations that let everything else
// compile; newPoller fails, so nothing else is called.
type poller struct{}

var errNoEpoll = fmt.Errorf("the load generator runs on Linux only: %w", errors.ErrUnsupported)

func newPoller() (*poller, error) { return nil, errNoEpoll }

func (*poller) close() error                               { return errNoEpoll }
func (*poller) wait(bool) (int, error)                     { return 0, errNoEpoll }
func (*poller) event(int) (int, bool, bool)                { return -1, false, false }
func (*poller) arm(time.Duration) error                    { return errNoEpoll }
func (*poller) wake()                                      {}
func (*poller) add(int, bool) error                        { return errNoEpoll }
func (*poller) watch(int, bool, bool) error                { return errNoEpoll }
func read(int, []byte) (int, error)                        { return 0, errNoEpoll }
func write(int, []byte) (int, error)                       { return 0, errNoEpoll }
func closeSocket(int, bool)                                {}
func connectResult(int) error                              { return errNoEpoll }
func connect(netip.AddrPort, netip.Addr, int) (int, error) { return -1, errNoEpoll }
