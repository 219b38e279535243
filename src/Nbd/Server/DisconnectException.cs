namespace Godwit.Nbd.Server;

/// <summary>The connection has to end: the peer broke the protocol where no answer is possible, or went away.</summary>
/// <param name="reason">Why, in a sentence; empty when the peer simply left.</param>
internal sealed class DisconnectException(string reason) : Exception(reason)
{
    /// <summary>The peer hung up: nothing to report.</summary>
    public static DisconnectException HungUp() => new("");
}
