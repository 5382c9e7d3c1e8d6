/// How the kernel runs the program of an interface.
public enum AttachMode: String, Sendable {
  /// In the driver, before a packet is anything to the kernel.
  case native
  /// By the kernel's stack, for any driver: each packet has been given an skb before, which costs.
  case generic
  /// On TC ingress.
  case tc
}
