// etcd-load asks an etcd cluster in closed loops, with etcd's own client: the counterpart of
// `hotrack bench store` for dev/compare-store. Prints one JSON object.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/pkg/transport"
)

type result struct {
	Operations int     `json:"operations"`
	Errors     int     `json:"errors"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
}

func main() {
	endpoints := flag.String("endpoints", "127.0.0.1:2379", "ADDRESS:PORT,...")
	clients := flag.Int("clients", 1, "closed loops, each with a connection of its own")
	seconds := flag.Float64("seconds", 5, "how long")
	reads := flag.Int("reads", 0, "percent of operations that are linearizable reads")
	keys := flag.Int("keys", 10000, "keys")
	length := flag.Int("value-length", 256, "bytes of a value")
	fill := flag.Bool("fill", false, "put every key once, and end")
	cert := flag.String("cert", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	cacert := flag.String("cacert", "", "PEM file")
	flag.Parse()

	var security *tls.Config
	if *cert != "" {
		info := transport.TLSInfo{CertFile: *cert, KeyFile: *key, TrustedCAFile: *cacert}
		var err error
		if security, err = info.ClientConfig(); err != nil {
			fail(err)
		}
	}
	value := strings.Repeat("v", *length)
	latencies := make([][]time.Duration, *clients)
	errors := make([]int, *clients)
	connected := make([]*clientv3.Client, *clients)
	for n := range connected {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: strings.Split(*endpoints, ","), DialTimeout: 5 * time.Second, TLS: security})
		if err != nil {
			fail(err)
		}
		connected[n] = client
	}
	start := time.Now()
	end := start.Add(time.Duration(*seconds * float64(time.Second)))
	var wait sync.WaitGroup
	for n := 0; n < *clients; n++ {
		wait.Add(1)
		go func(n int) {
			defer wait.Done()
			random := rand.New(rand.NewSource(int64(n) + 1))
			for place := n; ; place += *clients {
				number := random.Intn(*keys)
				if *fill {
					if number = place; place >= *keys {
						return
					}
				} else if !time.Now().Before(end) {
					return
				}
				name := fmt.Sprintf("key-%08d", number)
				began := time.Now()
				var err error
				if !*fill && random.Intn(100) < *reads {
					_, err = connected[n].Get(context.Background(), name)
				} else {
					_, err = connected[n].Put(context.Background(), name, value)
				}
				if err != nil {
					errors[n]++
					continue
				}
				latencies[n] = append(latencies[n], time.Since(began))
			}
		}(n)
	}
	wait.Wait()
	report := result{Seconds: time.Since(start).Seconds()}
	var all []time.Duration
	for n := range latencies {
		all = append(all, latencies[n]...)
		report.Errors += errors[n]
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	report.Operations = len(all)
	report.PerSecond = float64(len(all)) / report.Seconds
	if len(all) > 0 {
		report.P50 = float64(all[len(all)*50/100].Microseconds())
		report.P99 = float64(all[len(all)*99/100].Microseconds())
	}
	json.NewEncoder(os.Stdout).Encode(report)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "etcd-load:", err)
	os.Exit(1)
}
