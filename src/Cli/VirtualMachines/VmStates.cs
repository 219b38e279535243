using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>Colours for what a VM is doing.</summary>
internal static class VmStates
{
    /// <summary>The colour for a state, or null for none.</summary>
    public static Func<string, string>? Colour(VirtualMachineState state, Paint paint) => state switch
    {
        VirtualMachineState.Running => paint.Green,
        VirtualMachineState.PausedCritical => paint.Red,
        VirtualMachineState.Starting or VirtualMachineState.Stopping or VirtualMachineState.Saving or VirtualMachineState.Paused => paint.Yellow,
        _ => null,
    };
}
