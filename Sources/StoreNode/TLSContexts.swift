internal import NIOSSL

/// What the two sides of connections need, from one certificate: each has to show one that the
/// authority has signed.
struct TLSContexts {
  let server: NIOSSLContext
  let client: NIOSSLContext

  /// Nil: there is to be no encryption.
  init?(_ files: StoreNodeOptions.TLS?) throws(StoreNodeError) {
    guard let files else { return nil }
    do {
      let chain = try NIOSSLCertificate.fromPEMFile(files.certificate).map {
        NIOSSLCertificateSource.certificate($0)
      }
      let key = NIOSSLPrivateKeySource.privateKey(
        try NIOSSLPrivateKey(file: files.key, format: .pem))
      let authority = NIOSSLTrustRoots.certificates(
        try NIOSSLCertificate.fromPEMFile(files.authority))
      var server = TLSConfiguration.makeServerConfiguration(
        certificateChain: chain, privateKey: key)
      // Members are named by their addresses in the configuration; who has a certificate of the
      // authority is one of them.
      server.certificateVerification = .noHostnameVerification
      server.trustRoots = authority
      server.minimumTLSVersion = .tlsv12
      var client = TLSConfiguration.makeClientConfiguration()
      client.certificateChain = chain
      client.privateKey = key
      client.certificateVerification = .noHostnameVerification
      client.trustRoots = authority
      client.minimumTLSVersion = .tlsv12
      self.server = try NIOSSLContext(configuration: server)
      self.client = try NIOSSLContext(configuration: client)
    } catch {
      throw .tls("\(files.certificate), \(files.key), \(files.authority): \(error)")
    }
  }
}
