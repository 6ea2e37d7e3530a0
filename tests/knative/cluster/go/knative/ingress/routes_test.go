package main

import (
	"net/http/httptest"
	"testing"

	"knative.dev/networking/pkg/apis/networking/v1alpha1"
)

func path(at, service string, headers map[string]v1alpha1.HeaderMatch) v1alpha1.HTTPIngressPath {
	backend := v1alpha1.IngressBackend{ServiceName: service}
	return v1alpha1.HTTPIngressPath{
		Path: at, Headers: headers, Splits: []v1alpha1.IngressBackendSplit{{IngressBackend: backend, Percent: 100}},
	}
}

func ingress(visibility v1alpha1.IngressVisibility, host string, paths ...v1alpha1.HTTPIngressPath) *v1alpha1.Ingress {
	rule := v1alpha1.IngressRule{
		Hosts: []string{host}, Visibility: visibility, HTTP: &v1alpha1.HTTPIngressRuleValue{Paths: paths},
	}
	return &v1alpha1.Ingress{Spec: v1alpha1.IngressSpec{Rules: []v1alpha1.IngressRule{rule}}}
}

func TestFind(t *testing.T) {
	tagged := map[string]v1alpha1.HeaderMatch{"Tag": {Exact: "next"}}
	var r routes
	r.set([]*v1alpha1.Ingress{
		ingress(v1alpha1.IngressVisibilityExternalIP, "open", path("", "any", nil), path("/a", "a", nil), path("", "next", tagged)),
		ingress(v1alpha1.IngressVisibilityClusterLocal, "closed", path("", "hidden", nil)),
	})
	for _, row := range []struct {
		from                       v1alpha1.IngressVisibility
		host, path, header, answer string
	}{
		{v1alpha1.IngressVisibilityExternalIP, "open", "/", "", "any"},
		{v1alpha1.IngressVisibilityExternalIP, "open:80", "/", "", "any"},
		{v1alpha1.IngressVisibilityExternalIP, "open", "/a/b", "", "a"},
		{v1alpha1.IngressVisibilityExternalIP, "open", "/", "next", "next"},
		{v1alpha1.IngressVisibilityExternalIP, "open", "/", "other", "any"},
		{v1alpha1.IngressVisibilityExternalIP, "closed", "/", "", ""},
		{v1alpha1.IngressVisibilityClusterLocal, "closed", "/", "", "hidden"},
		{v1alpha1.IngressVisibilityClusterLocal, "unknown", "/", "", ""},
	} {
		request := httptest.NewRequest("GET", row.path, nil)
		request.Host = row.host
		request.Header.Set("Tag", row.header)
		answer := ""
		if _, split := r.find(row.from, request); split != nil {
			answer = split.ServiceName
		}
		if answer != row.answer {
			t.Errorf("%+v goes to %q", row, answer)
		}
	}
}

func TestDraw(t *testing.T) {
	splits := []v1alpha1.IngressBackendSplit{{Percent: 30}, {Percent: 0}, {Percent: 70}}
	for number, index := range map[int]int{0: 0, 29: 0, 30: 2, 99: 2} {
		if got := draw(splits, number); got != &splits[index] {
			t.Errorf("%d takes %+v", number, got)
		}
	}
	if single := make([]v1alpha1.IngressBackendSplit, 1); draw(single, 50) != &single[0] {
		t.Error("a single service without a share is not taken")
	}
}
