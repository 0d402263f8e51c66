package host

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Limits of a request.
const (
	webTimeout   = 30 * time.Second
	maxResponse  = 10 << 20
	maxRedirects = 10
)

func (h *Host) httpRequest(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	var in struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	if err := wire.Decode(args[0], &in); err != nil {
		return nil, err
	}
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if !slices.Contains([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}, in.Method) {
		return nil, fault.New(fault.Usage, "the method %.20q is not one that capsules may use", in.Method)
	}
	ctx, cancel := context.WithTimeout(ctx, webTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, in.Method, in.URL, strings.NewReader(in.Body))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "make the request")
	}
	for name, value := range in.Headers {
		req.Header.Set(name, value)
	}
	if err := h.mayReach(req.URL); err != nil {
		return nil, err
	}
	return h.fetch(req)
}

func (h *Host) fetch(req *http.Request) ([]byte, error) {
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: webTimeout, Control: h.guard}).DialContext,
		ResponseHeaderTimeout: webTimeout, DisableKeepAlives: true, Proxy: nil,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return fault.New(fault.Limit, "more than %d redirects", maxRedirects)
		}
		return h.mayReach(next.URL)
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "request %s", req.URL.Host)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.KindOf(err), err, "read the answer of %s", req.URL.Host)
	case len(body) > maxResponse:
		return nil, fault.New(fault.Limit, "the answer of %s is larger than %d bytes", req.URL.Host, maxResponse)
	case !utf8.Valid(body):
		return nil, fault.New(fault.Usage, "the answer of %s is no UTF-8 text", req.URL.Host)
	}
	headers := map[string]string{}
	for name, values := range resp.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return encode(struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}{resp.StatusCode, headers, string(bytes.ToValidUTF8(body, nil))})
}

// mayReach judges a URL, also that of a redirect.
func (h *Host) mayReach(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fault.New(fault.Usage, "the scheme %.20q is neither http nor https", u.Scheme)
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	allowed := slices.ContainsFunc(h.Capsule.Capabilities.Net, func(entry string) bool {
		entry = strings.ToLower(entry)
		return entry == "*" || host == entry || strings.HasSuffix(host, "."+entry)
	})
	if !allowed || host == "" {
		return fault.New(fault.Denied, "capsule '%s' may not reach %.256q: its manifest does not ask for that", h.Capsule.Package.Name, host)
	}
	return nil
}

// guard refuses to connect to an address of this machine or its networks. It
// sees the address that is really dialled, however it was found.
func guard(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || private(ap.Addr()) {
		return fault.New(fault.Denied, "DNS resolved to an unauthorized private or local IP address")
	}
	return nil
}

// private tells whether an address is not one of the public internet.
func private(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if low := a.As16(); [12]byte(low[:12]) == [12]byte{} && !a.IsUnspecified() { // v4-compatible
			return private(netip.AddrFrom4([4]byte(low[12:])))
		}
	}
	if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsPrivate() || a.IsLinkLocalUnicast() || !a.IsValid() {
		return true
	}
	for _, text := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"} {
		if netip.MustParsePrefix(text).Contains(a) {
			return true
		}
	}
	return false
}
