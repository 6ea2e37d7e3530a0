// Ingress is a small ingress for Knative Serving, for tests: it stands in for Kourier, Contour or Istio, none of which
// is published as a Go module. It watches the KIngress objects of its class, marks them ready, and passes HTTP on as they
// say: those for outside on port 8080, those for the cluster alone on port 8081. No TLS, no HTTP/2.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"knative.dev/networking/pkg/apis/networking"
	"knative.dev/networking/pkg/apis/networking/v1alpha1"
	"knative.dev/networking/pkg/client/clientset/versioned"
	"knative.dev/networking/pkg/client/informers/externalversions"
)

const class = "test.ingress.networking.knative.dev"

type controller struct {
	client versioned.Interface
	store  cache.Store
	routes routes
}

func main() {
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	c := controller{client: versioned.NewForConfigOrDie(config)}
	c.watch(context.Background())
	go func() {
		log.Fatal(http.ListenAndServe(":8081", proxy(&c.routes, v1alpha1.IngressVisibilityClusterLocal)))
	}()
	log.Fatal(http.ListenAndServe(":8080", proxy(&c.routes, v1alpha1.IngressVisibilityExternalIP)))
}

// watch returns when all that was there at the start is routed, and goes on by itself.
func (c *controller) watch(ctx context.Context) {
	ingresses := externalversions.NewSharedInformerFactory(c.client, time.Minute).Networking().V1alpha1().Ingresses()
	informer := ingresses.Informer()
	c.store = informer.GetStore()
	c.routes.set(nil)
	informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { c.changed(ctx, o) },
		UpdateFunc: func(_, o any) { c.changed(ctx, o) },
		DeleteFunc: func(any) { c.routes.set(c.ours()) },
	})
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		log.Fatal("no ingresses could be read")
	}
}

func (c *controller) changed(ctx context.Context, o any) {
	c.routes.set(c.ours())
	if ingress := o.(*v1alpha1.Ingress); isOurs(ingress) && !(ingress.IsReady() && isCurrent(ingress)) {
		c.markReady(ctx, ingress.DeepCopy())
	}
}

func (c *controller) ours() []*v1alpha1.Ingress {
	var found []*v1alpha1.Ingress
	for _, o := range c.store.List() {
		if ingress := o.(*v1alpha1.Ingress); isOurs(ingress) {
			found = append(found, ingress)
		}
	}
	return found
}

func isOurs(ingress *v1alpha1.Ingress) bool {
	return networking.GetIngressClass(ingress.Annotations) == class && ingress.DeletionTimestamp == nil
}

func isCurrent(ingress *v1alpha1.Ingress) bool {
	return ingress.Status.ObservedGeneration == ingress.Generation
}

// markReady tells Serving where the ingress can be reached. A conflict is no harm: the newer object comes by as well.
func (c *controller) markReady(ctx context.Context, ingress *v1alpha1.Ingress) {
	ingress.Status.InitializeConditions()
	ingress.Status.MarkNetworkConfigured()
	ingress.Status.MarkLoadBalancerReady(at("ingress"), at("ingress-local"))
	ingress.Status.ObservedGeneration = ingress.Generation
	client := c.client.NetworkingV1alpha1().Ingresses(ingress.Namespace)
	if _, err := client.UpdateStatus(ctx, ingress, metav1.UpdateOptions{}); err != nil {
		log.Print(err)
	}
}

func at(service string) []v1alpha1.LoadBalancerIngressStatus {
	return []v1alpha1.LoadBalancerIngressStatus{{DomainInternal: service + "." + os.Getenv("NAMESPACE") + ".svc.cluster.local"}}
}
