using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Threading.RateLimiting;
using Godwit.Api;
using Godwit.Host.Access;

namespace Godwit.Host.Http;

/// <summary>How often callers may ask.</summary>
/// <param name="Burst">Requests at once, of one caller.</param>
/// <param name="PerSecond">Requests per second on the long run, of one caller.</param>
/// <param name="UnknownBurst">The same of all nobody knows at one address.</param>
/// <param name="UnknownPerSecond">The same of all nobody knows at one address.</param>
internal sealed record RequestRates(int Burst, int PerSecond, int UnknownBurst, int UnknownPerSecond)
{
    /// <summary>What no person and no sensible script reaches.</summary>
    public static RequestRates Default { get; } = new(1000, 200, 50, 10);
}

/// <summary>Holds back who asks too often: one caller cannot keep the others from being answered, and nobody guesses tokens or
/// fills the audit log.</summary>
internal sealed class RequestLimits(RequestDelegate next, RequestRates rates) : IDisposable
{
    private readonly PartitionedRateLimiter<HttpContext> _limiter = PartitionedRateLimiter.Create<HttpContext, string>(context =>
    {
        var caller = Caller.Of(context);
        return caller.Name.Length > 0
            ? RateLimitPartition.GetTokenBucketLimiter(caller.Name, _ => Bucket(rates.Burst, rates.PerSecond))
            : RateLimitPartition.GetTokenBucketLimiter(
                "address:" + NetworkOf(context.Connection.RemoteIpAddress), _ => Bucket(rates.UnknownBurst, rates.UnknownPerSecond));
    });

    public async Task InvokeAsync(HttpContext context)
    {
        using var lease = _limiter.AttemptAcquire(context);
        if (!lease.IsAcquired)
        {
            var wait = lease.TryGetMetadata(MetadataName.RetryAfter, out var after) ? Math.Max(1, (int)Math.Ceiling(after.TotalSeconds)) : 1;
            context.Response.Headers.RetryAfter = wait.ToString(CultureInfo.InvariantCulture);
            throw new GodwitException(ErrorCode.TooManyRequests, "There are too many requests from here.", $"Wait {wait} s and ask less often.");
        }
        await next(context);
    }

    public void Dispose() => _limiter.Dispose();

    private static TokenBucketRateLimiterOptions Bucket(int burst, int perSecond) => new()
    {
        TokenLimit = burst,
        TokensPerPeriod = perSecond,
        ReplenishmentPeriod = TimeSpan.FromSeconds(1),
        QueueLimit = 0,
    };

    // One computer has as many addresses of IPv6 as it likes, within its network of 64 bits.
    private static string NetworkOf(IPAddress? address) => address switch
    {
        null => "",
        { AddressFamily: AddressFamily.InterNetworkV6, IsIPv4MappedToIPv6: false } => Convert.ToHexStringLower(address.GetAddressBytes().AsSpan(0, 8)),
        _ => address.ToString(),
    };
}
