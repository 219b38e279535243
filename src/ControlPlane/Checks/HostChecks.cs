using Godwit.Api;
using Godwit.Api.Hosts;

namespace Godwit.ControlPlane.Checks;

/// <summary>Everything that is looked at on a host.</summary>
/// <param name="checks">What there is to look at, in the order in which it is told.</param>
/// <param name="time">The clock.</param>
public sealed class HostChecks(IEnumerable<IHostCheck> checks, TimeProvider time)
{
    /// <summary>A share that does not answer must not keep the rest from being told.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    /// <summary>Looks at everything at once.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyList<CheckFinding>> RunAsync(CancellationToken cancellationToken)
    {
        var found = await Task.WhenAll(checks.Select(check => LookAsync(check, cancellationToken))).ConfigureAwait(false);
        return [.. found.SelectMany(each => each)];
    }

    private async Task<IReadOnlyList<CheckFinding>> LookAsync(IHostCheck check, CancellationToken cancellationToken)
    {
        var name = check.GetType().Name;
        try
        {
            // On a thread of its own: a call into a file system that hangs does not come back.
            return await Task.Run(() => check.LookAsync(cancellationToken), cancellationToken).WaitAsync(Limit, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return [new CheckFinding("check", CheckSeverity.Error, $"{name} got no answer within {Limit.TotalSeconds:0} s.", "Look for a file system that hangs.")];
        }
        catch (GodwitException e)
        {
            return [new CheckFinding("check", CheckSeverity.Error, $"{name}: {e.Problem.Title}", e.Problem.Remedy)];
        }
    }
}
