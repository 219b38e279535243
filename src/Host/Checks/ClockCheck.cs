using Godwit.Api.Hosts;
using Godwit.ControlPlane.Checks;
using Godwit.Host.Interop;

namespace Godwit.Host.Checks;

/// <summary>Looks whether the kernel's clock is kept by somebody: certificates and logs of several hosts need one time.</summary>
internal sealed class ClockCheck : IHostCheck
{
    public Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<CheckFinding>>(
    [
        LibC.IsClockKept()
            ? new CheckFinding("clock", CheckSeverity.Good, "The clock is synchronized.")
            : new CheckFinding("clock", CheckSeverity.Warning, "Nobody synchronizes the clock.", "Install and start systemd-timesyncd or chrony."),
    ]);
}
