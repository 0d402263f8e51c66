package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
)

func main() {
	tokenFile := flag.String("token", "", "`file` with the token of a user; default: the owner's")
	address := flag.String("listen", "127.0.0.1:0", "loopback `address`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *tokenFile, *address); err != nil {
		fmt.Fprintln(os.Stderr, "bridge:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, tokenFile, address string) error {
	h, err := home.Resolve(os.Getenv)
	if err != nil {
		return err
	}
	b := &bridge{home: h, secret: rand.Text()}
	if tokenFile != "" {
		token, err := os.ReadFile(tokenFile)
		if err != nil {
			return err
		}
		b.token = strings.TrimSpace(string(token))
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return errors.Join(fmt.Errorf("%s is not on the loopback interface", l.Addr()), l.Close())
	}
	b.host = l.Addr().String()
	fmt.Printf("http://%s %s\n", b.host, b.secret)
	server := &http.Server{Handler: b, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type bridge struct {
	home   home.Home
	token  string // of the user towards the kernel; empty: the owner's
	secret string // that requests must carry
	host   string // that requests must name
}

// ServeHTTP lets in who may and does what is asked.
func (b *bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := b.refuse(r); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	method, isCall := strings.CutPrefix(r.URL.Path, "/call/")
	switch {
	case isCall && r.Method == http.MethodPost:
		b.call(w, r, method)
	case r.URL.Path == "/events" && r.Method == http.MethodGet:
		b.events(w, r)
	default:
		http.NotFound(w, r)
	}
}

// refuse says why a request is not let in.
func (b *bridge) refuse(r *http.Request) string {
	shown := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.Host != b.host:
		return "this is not a name of mine"
	case r.Header.Get("Origin") != "" && r.Header.Get("Origin") != "http://"+b.host:
		return "another page's requests are not served"
	case subtle.ConstantTimeCompare([]byte(shown), []byte(b.secret)) != 1:
		return "the token is wrong"
	}
	return ""
}

// maxBody bounds the params of a call.
const maxBody = 1 << 20

func (b *bridge) call(w http.ResponseWriter, r *http.Request, method string) {
	params, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if len(bytes.TrimSpace(params)) == 0 {
		params = []byte("{}")
	}
	c, err := client.DialAs(r.Context(), b.home, client.Options{Token: b.token, Name: "bridge"})
	var reply wire.Raw
	if err == nil {
		defer c.Close()
		err = c.Call(r.Context(), method, wire.Raw(params), &reply)
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(status(fault.KindOf(err)))
		reply, _ = wire.Encode(map[string]*wire.Error{"error": wire.ErrorOf(err)})
	}
	_, _ = w.Write(reply)
}

// status is the HTTP status that comes closest to a kind of fault.
func status(k fault.Kind) int {
	switch k {
	case fault.Usage:
		return http.StatusBadRequest
	case fault.Denied:
		return http.StatusForbidden
	case fault.NotFound, fault.Unsupported:
		return http.StatusNotFound
	case fault.Conflict, fault.Busy, fault.Exists, fault.HeldBack:
		return http.StatusConflict
	case fault.Limit:
		return http.StatusTooManyRequests
	case fault.NotRunning, fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// events sends messages until the browser goes away or the kernel ends.
func (b *bridge) events(w http.ResponseWriter, r *http.Request) {
	messages := make(chan wire.Message)
	c, err := client.DialAs(r.Context(), b.home, client.Options{Token: b.token, Name: "bridge", Message: func(m wire.Message) {
		select {
		case messages <- m: // the kernel bounds what waits for a slow browser
		case <-r.Context().Done():
		}
	}})
	if err != nil {
		http.Error(w, err.Error(), status(fault.KindOf(err)))
		return
	}
	defer c.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	fmt.Fprint(w, "event: open\ndata: {}\n\n")
	for out.Flush() == nil {
		select {
		case m := <-messages:
			data, err := wire.Encode(m)
			if err != nil {
				return
			}
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", m.Topic, data)
		case <-c.Done():
			return
		case <-r.Context().Done():
			return
		}
	}
}
