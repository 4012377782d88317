package local

// Store is the URL of etcd, for who fills a cluster past the API server.
func (c *Cluster) Store() string {
	return c.plane.Etcd.URL.String()
}
