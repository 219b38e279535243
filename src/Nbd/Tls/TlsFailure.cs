namespace Godwit.Nbd.Tls;

/// <summary>What the TLS library throws, in words.</summary>
internal static class TlsFailure
{
    /// <summary>Why, without a full stop: the innermost message is the one that says something.</summary>
    public static string Reason(Exception failure)
    {
        var inmost = failure;
        while (inmost.InnerException is { } inner)
            inmost = inner;
        return inmost.Message.TrimEnd('.');
    }
}
