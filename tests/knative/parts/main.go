// Command parts is Knative's own Broker as one plain process, without a cluster: the published ingress, in-memory
// channel and filter, wired as Knative's controllers wire them, for the Broker and the Triggers on standard input.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	metric "go.opentelemetry.io/otel/metric/noop"
	trace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"knative.dev/eventing/pkg/apis/eventing"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	messagingv1 "knative.dev/eventing/pkg/apis/messaging/v1"
	"knative.dev/eventing/pkg/broker"
	"knative.dev/eventing/pkg/broker/filter"
	"knative.dev/eventing/pkg/broker/ingress"
	"knative.dev/eventing/pkg/channel/fanout"
	"knative.dev/eventing/pkg/client/clientset/versioned/fake"
	"knative.dev/eventing/pkg/client/informers/externalversions"
	"knative.dev/eventing/pkg/eventingtls"
	"knative.dev/eventing/pkg/kncloudevents"
	"knative.dev/eventing/pkg/reconciler/sugar/trigger/path"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

const (
	system      = "knative-eventing"
	ingressHost = "broker-ingress." + system + ".svc.cluster.local"
	filterHost  = "broker-filter." + system + ".svc.cluster.local"
	maxTTL      = 255 // replies that may follow from one event: the default of Knative's ingress
)

// input is what stands on standard input.
type input struct {
	Listen   string            // host:port of the Broker's ingress
	Broker   eventingv1.Broker // as rendered
	Triggers []eventingv1.Trigger
	Services map[string]string // where the Knative Services of the namespace listen, by name: host:port
}

func main() {
	os.Setenv("SYSTEM_NAMESPACE", system)
	os.Setenv("CLUSTER_DOMAIN", "cluster.local")
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		log.Fatal("standard input: ", err)
	}
	listener, err := net.Listen("tcp", in.Listen)
	if err != nil {
		log.Fatal(err)
	}
	resolve(in, listener.Addr().String())
	handler, err := assemble(context.Background(), in)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, handler))
}

// resolve makes the names of a cluster lead to this machine's ports, which it does for the client of Knative's
// dispatcher too: that is a copy of the default one.
func resolve(in input, self string) {
	addresses := map[string]string{ingressHost + ":80": self, filterHost + ":80": self, channelHost(in.Broker) + ":80": self}
	for name, address := range in.Services {
		addresses[serviceHost(name, in.Broker.Namespace)+":80"] = address
	}
	transport := http.DefaultTransport.(*http.Transport)
	transport.Proxy = nil
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if known, ok := addresses[address]; ok {
			address = known
		}
		return dial(ctx, network, address)
	}
}

// assemble makes the Broker's three parts and hands each request to the one whose host it names.
func assemble(ctx context.Context, in input) (http.Handler, error) {
	logger, err := zap.NewProduction(zap.IncreaseLevel(zap.WarnLevel))
	if err != nil {
		return nil, err
	}
	objects := []runtime.Object{reconciled(&in.Broker)}
	var subscriptions []fanout.Subscription
	for i := range in.Triggers {
		subscription, err := subscribe(&in.Triggers[i], in)
		if err != nil {
			logger.Error("a Trigger is not ready", zap.String("name", in.Triggers[i].Name), zap.Error(err))
			continue
		}
		objects = append(objects, &in.Triggers[i])
		subscriptions = append(subscriptions, *subscription)
	}
	informers := externalversions.NewSharedInformerFactory(fake.NewSimpleClientset(objects...), 0)
	meters, traces := metric.NewMeterProvider(), trace.NewTracerProvider()
	same := func(ctx context.Context) context.Context { return ctx }
	brokers, triggers := informers.Eventing().V1().Brokers(), informers.Eventing().V1().Triggers()
	door, err := ingress.NewHandler(logger, broker.TTLDefaulter(logger, maxTTL), brokers, nil, nil, nil, same, meters, traces)
	if err != nil {
		return nil, err
	}
	unused := informers.Messaging().V1().Subscriptions() // only asked with OIDC
	sieve, err := filter.NewHandler(logger, nil, nil, triggers, brokers, unused, nil, same, meters, traces)
	if err != nil {
		return nil, err
	}
	async, _ := strconv.ParseBool(in.Broker.Annotations[messagingv1.AsyncHandlerAnnotation])
	measured := []kncloudevents.DispatcherOption{kncloudevents.WithMeterProvider(meters), kncloudevents.WithTraceProvider(traces)}
	dispatcher := kncloudevents.NewDispatcher(eventingtls.ClientConfig{}, nil, measured...)
	config := fanout.Config{Subscriptions: subscriptions, AsyncHandler: async}
	channel, err := fanout.NewFanoutEventHandler(logger, config, nil, nil, nil, dispatcher, meters, traces)
	if err != nil {
		return nil, err
	}
	informers.Start(ctx.Done())
	informers.WaitForCacheSync(ctx.Done())
	return byHost(map[string]http.Handler{filterHost: sieve, channelHost(in.Broker): channel}, door), nil
}

func byHost(handlers map[string]http.Handler, otherwise http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		host, _, _ := strings.Cut(request.Host, ":")
		if handler, ok := handlers[host]; ok {
			handler.ServeHTTP(writer, request)
			return
		}
		otherwise.ServeHTTP(writer, request)
	})
}

// reconciled is the Broker with the status that its controller gives it (pkg/reconciler/broker/broker.go).
func reconciled(b *eventingv1.Broker) *eventingv1.Broker {
	b.Status.Annotations = map[string]string{eventing.BrokerChannelAddressStatusAnnotationKey: "http://" + channelHost(*b)}
	b.Status.Address = &duckv1.Addressable{URL: brokerURL(*b)}
	return b
}

// subscribe gives the Trigger the status of its controller (pkg/reconciler/broker/trigger/trigger.go) and returns its
// subscription to the Broker's channel. A subscriber that does not exist is an error: such a Trigger gets no event.
func subscribe(t *eventingv1.Trigger, in input) (*fanout.Subscription, error) {
	subscriber, err := locate(t.Spec.Subscriber, in)
	if err != nil {
		return nil, err
	}
	t.UID = types.UID(t.Name)
	t.Status.SubscriberURI = subscriber
	delivery := t.Spec.Delivery.DeepCopy()
	if delivery == nil {
		delivery = in.Broker.Spec.Delivery.DeepCopy()
	}
	subscription := &fanout.Subscription{
		Name:       t.Name,
		Namespace:  t.Namespace,
		UID:        t.UID,
		Subscriber: duckv1.Addressable{URL: &apis.URL{Scheme: "http", Host: filterHost, Path: path.Generate(t)}},
		Reply:      &duckv1.Addressable{URL: brokerURL(in.Broker)},
	}
	if delivery == nil {
		return subscription, nil
	}
	retries, err := kncloudevents.RetryConfigFromDeliverySpec(*delivery)
	if err != nil {
		return nil, err
	}
	subscription.RetryConfig = &retries
	sink := delivery.DeadLetterSink
	if sink == nil && in.Broker.Spec.Delivery != nil {
		sink = in.Broker.Spec.Delivery.DeadLetterSink // as the channel's, which the Broker's delivery is given to
	}
	if sink != nil {
		letters, err := locate(*sink, in)
		if err != nil {
			return nil, err
		}
		subscription.DeadLetter = &duckv1.Addressable{URL: letters}
	}
	return subscription, nil
}

// locate is the address of a Knative Service, with the destination's URI below it, or that of a URI alone.
func locate(d duckv1.Destination, in input) (*apis.URL, error) {
	if d.Ref == nil {
		return d.URI, nil
	}
	if _, ok := in.Services[d.Ref.Name]; !ok || d.Ref.Kind != "Service" {
		return nil, fmt.Errorf("%s %q not found", d.Ref.Kind, d.Ref.Name)
	}
	url := &apis.URL{Scheme: "http", Host: serviceHost(d.Ref.Name, in.Broker.Namespace)}
	if d.URI != nil {
		url = url.ResolveReference(d.URI)
	}
	return url, nil
}

func brokerURL(b eventingv1.Broker) *apis.URL {
	return &apis.URL{Scheme: "http", Host: ingressHost, Path: "/" + b.Namespace + "/" + b.Name}
}

func serviceHost(name, namespace string) string {
	return name + "." + namespace + ".svc.cluster.local"
}

func channelHost(b eventingv1.Broker) string {
	return serviceHost(b.Name+"-kne-trigger-kn-channel", b.Namespace)
}
