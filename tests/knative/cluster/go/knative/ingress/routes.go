package main

import (
	"math/rand/v2"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync/atomic"

	"knative.dev/networking/pkg/apis/networking/v1alpha1"
)

// address is where a request came in: for which host, and from inside the cluster or from outside.
type address struct {
	visibility v1alpha1.IngressVisibility
	host       string
}

// routes says for each address which paths there are, those first that demand most.
type routes struct {
	table atomic.Pointer[map[address][]v1alpha1.HTTPIngressPath]
}

// set puts the rules of these ingresses in the place of all before.
func (r *routes) set(ingresses []*v1alpha1.Ingress) {
	table := map[address][]v1alpha1.HTTPIngressPath{}
	for _, ingress := range ingresses {
		for _, rule := range ingress.Spec.Rules {
			for _, host := range rule.Hosts {
				at := address{rule.Visibility, host}
				table[at] = append(table[at], rule.HTTP.Paths...)
			}
		}
	}
	for _, paths := range table {
		sort.SliceStable(paths, func(a, b int) bool { return stricter(&paths[a], &paths[b]) })
	}
	r.table.Store(&table)
}

func stricter(a, b *v1alpha1.HTTPIngressPath) bool {
	if len(a.Path) != len(b.Path) {
		return len(a.Path) > len(b.Path)
	}
	return len(a.Headers) > len(b.Headers)
}

// find returns the path that a request takes, and which of its services, drawn by their shares; nil if there is none.
func (r *routes) find(from v1alpha1.IngressVisibility, request *http.Request) (*v1alpha1.HTTPIngressPath, *v1alpha1.IngressBackendSplit) {
	host := request.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	paths := (*r.table.Load())[address{from, host}]
	for i := range paths {
		if matches(&paths[i], request) {
			return &paths[i], draw(paths[i].Splits, rand.IntN(100))
		}
	}
	return nil, nil
}

func matches(path *v1alpha1.HTTPIngressPath, request *http.Request) bool {
	for name, wanted := range path.Headers {
		if request.Header.Get(name) != wanted.Exact {
			return false
		}
	}
	return strings.HasPrefix(request.URL.Path, path.Path)
}

// draw picks the service whose share of 100 holds the number.
func draw(splits []v1alpha1.IngressBackendSplit, number int) *v1alpha1.IngressBackendSplit {
	for i := range splits {
		if number -= splits[i].Percent; number < 0 {
			return &splits[i]
		}
	}
	return &splits[0] // a single one may leave its share out
}
