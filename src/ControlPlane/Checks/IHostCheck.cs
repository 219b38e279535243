using Godwit.Api.Hosts;

namespace Godwit.ControlPlane.Checks;

/// <summary>Looks at one side of a host. Changes nothing.</summary>
public interface IHostCheck
{
    /// <summary>Looks; at least one finding. Never throws for what it finds.</summary>
    Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken);
}
