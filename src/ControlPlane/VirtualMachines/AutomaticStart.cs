using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Starts VMs after the host has started, as their settings say.</summary>
/// <param name="parts">What VMs are made of.</param>
/// <param name="operations">Starts them.</param>
/// <param name="database">Remembers which start of the host was the last.</param>
/// <param name="time">The clock.</param>
/// <param name="tell">Hears one sentence about each VM that is started, or cannot be.</param>
public sealed class AutomaticStart(
    VirtualMachineParts parts, VirtualMachineOperations operations, Database database, TimeProvider time,
    Action<VirtualMachineRecord, string> tell)
{
    /// <summary>What a VM needs may come later than the daemon: a share that is being mounted.</summary>
    public static readonly TimeSpan Again = TimeSpan.FromSeconds(30);

    /// <summary>Afterwards a person is needed.</summary>
    public const int Attempts = 10;

    private readonly Dictionary<Guid, int> _attempts = [];

    /// <summary>Finds out whether the host has been started since the last time, and then decides what is to be started. Call before anybody
    /// looks at the VMs: what ran is known only until then.</summary>
    /// <param name="boot">Tells one start of the host from another.</param>
    public void NoteBoot(string boot)
    {
        var known = database.Query("SELECT value FROM meta WHERE key = 'boot'", row => row.GetString(0));
        if (known is [var last] && last == boot)
        {
            return;
        }
        // A store that has never seen a start of the host is a new one, or its daemon has just been installed over running VMs.
        foreach (var vm in known.Count == 0 ? [] : parts.Vms.List().Where(IsWanted))
        {
            var due = time.GetUtcNow() + TimeSpan.FromSeconds(vm.Settings.AutomaticStartDelay);
            parts.Vms.Note(vm.Id, now => now with { StartDue = due });
        }
        database.Execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('boot', $boot)", ("$boot", boot));
    }

    /// <summary>Starts what is due, one VM after the other. Call again and again.</summary>
    /// <param name="cancellationToken">Stops between two VMs.</param>
    public async Task StartDueAsync(CancellationToken cancellationToken)
    {
        foreach (var vm in parts.Vms.List().Where(vm => vm.StartDue <= time.GetUtcNow()))
        {
            try
            {
                await operations.StartAsync(vm.Name, cancellationToken).ConfigureAwait(false);
                tell(vm, "is started because the host has started");
                Forget(vm);
            }
            catch (GodwitException e) when (e.Problem.Code is ErrorCode.WrongState or ErrorCode.NotFound && IsSettled(vm))
            {
                Forget(vm);
            }
            catch (GodwitException e)
            {
                Postpone(vm, e.Problem);
            }
        }
    }

    private static bool IsWanted(VirtualMachineRecord vm) => vm.Settings.AutomaticStartAction switch
    {
        StartAction.Start => true,
        StartAction.StartIfRunning => vm.Powered,
        _ => false,
    };

    /// <summary>Somebody has started or removed it meanwhile.</summary>
    private bool IsSettled(VirtualMachineRecord vm) => parts.Vms.Find(vm.Id) is not { Powered: false };

    private void Forget(VirtualMachineRecord vm)
    {
        _attempts.Remove(vm.Id);
        parts.Vms.Note(vm.Id, now => now with { StartDue = null });
    }

    private void Postpone(VirtualMachineRecord vm, Problem problem)
    {
        var attempts = _attempts[vm.Id] = _attempts.GetValueOrDefault(vm.Id) + 1;
        if (attempts >= Attempts)
        {
            tell(vm, $"cannot be started since the host has started, and is not tried again: {problem.Title}");
            Forget(vm);
            return;
        }
        tell(vm, $"cannot be started since the host has started; tried again in {Again.TotalSeconds:0} s: {problem.Title}");
        parts.Vms.Note(vm.Id, now => now with { StartDue = time.GetUtcNow() + Again });
    }
}
