package node

import (
	"context"
	"slices"
	"time"

	"sluice/engine"
	"sluice/internal/metrics"
)

// addresses returns where clients connect: in plain text first, then over TLS.
func (n *Node) addresses() []string { return slices.Concat(n.cfg.Listen, n.cfg.TLS.Listen) }

// entrance returns what clients of an address do before they speak HTTP.
func (n *Node) entrance(address int) (en engine.Entrance) {
	if slices.Contains(n.cfg.Proxy.Listen, n.addresses()[address]) {
		en.Proxy = &n.cfg.Proxy
	}
	if address >= len(n.cfg.Listen) {
		en.TLS = n.certs.Current
	}
	return en
}

// obtainCertificates gets those that an authority issues.
func (n *Node) obtainCertificates() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-n.stopClock:
			cancel()
		case <-ctx.Done():
		}
	}()
	n.certs.Obtain(ctx, func(domain string, err error) {
		if err != nil {
			n.log.Error("cannot get a certificate; it is tried again", "domain", domain, "error", err)
			return
		}
		n.log.Info("certificate obtained", "domain", domain)
	})
}

// watchCertificates sees to it that changed certificates are used.
func (n *Node) watchCertificates(m *metrics.Node) {
	t := time.NewTicker(n.cfg.TLS.ReloadInterval)
	defer t.Stop()
	defer n.certs.Close()
	for {
		if end := n.certs.Expiry(); !end.IsZero() {
			m.CertificateExpiry.Set(float64(end.Unix()))
		}
		select {
		case <-n.stopClock:
			return
		case now := <-t.C:
			n.refreshCertificates(now, m)
		}
	}
}

func (n *Node) refreshCertificates(now time.Time, m *metrics.Node) {
	switch changed, err := n.certs.Refresh(now); {
	case err != nil:
		m.CertificateReloads.With("failed").Inc()
		n.log.Error("cannot use the changed certificates; those before stay in force", "error", err, "expires", n.certs.Expiry())
	case changed:
		m.CertificateReloads.With("ok").Inc()
		n.log.Info("certificates changed", "expires", n.certs.Expiry())
	}
}
