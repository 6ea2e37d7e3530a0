package main

import (
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"knative.dev/networking/pkg/apis/networking/v1alpha1"
)

// One connection for each request, so that each is sent where the service points now and not where it pointed before.
var transport = &http.Transport{
	DisableKeepAlives:  true,
	DisableCompression: true,
	DialContext:        (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
}

// proxy passes requests on to the services that the routes name, and answers 404 where they name none.
func proxy(r *routes, from v1alpha1.IngressVisibility) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		path, split := r.find(from, request)
		if split == nil {
			http.Error(w, "no route", http.StatusNotFound)
			return
		}
		rewrite := func(p *httputil.ProxyRequest) { forward(p, path, split) }
		passing := httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: rewrite}
		passing.ServeHTTP(w, request)
	})
}

func forward(p *httputil.ProxyRequest, path *v1alpha1.HTTPIngressPath, split *v1alpha1.IngressBackendSplit) {
	p.Out.URL.Scheme = "http"
	p.Out.URL.Host = split.ServiceName + "." + split.ServiceNamespace + ".svc.cluster.local:" + split.ServicePort.String()
	p.Out.Host = p.In.Host
	p.SetXForwarded()
	if path.RewriteHost != "" {
		p.Out.Host = path.RewriteHost
		p.Out.Header.Set("K-Original-Host", p.In.Host)
	}
	for _, headers := range []map[string]string{path.AppendHeaders, split.AppendHeaders} {
		for name, value := range headers {
			p.Out.Header.Set(name, value)
		}
	}
}
