using Godwit.Api;
using Godwit.Storage.Decorators;
using Godwit.Worker.Control;

namespace Godwit.Worker.Serving;

/// <summary>What the worker itself does to a disk's files waits for the lease as the guest's requests do.</summary>
internal static class Lease
{
    /// <summary>Does something that writes, counted as a request of a guest is: whoever takes the disk over waits for it.</summary>
    /// <param name="fence">The disk's.</param>
    /// <param name="disk">Its name.</param>
    /// <param name="action">What to do.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>: the disk is held, or is not ours any more. Nothing was done.</exception>
    internal static async Task WhileOursAsync(Fence fence, string disk, Func<Task> action)
    {
        if (!await fence.TryRunAsync(action).ConfigureAwait(false))
            throw new GodwitException(WhyHeld(fence, disk) ?? Held(disk));
    }

    /// <summary>Why nothing may be written now; null when it may.</summary>
    internal static Problem? WhyHeld(Fence fence, string disk) => fence switch
    {
        { Revocation: { } revocation } => Problems.Of(revocation),
        { IsHeld: true } => Held(disk),
        _ => null,
    };

    private static Problem Held(string disk) => new(
        ErrorCode.WrongState,
        $"disk {disk} is held: the lease that says that this host owns it has run out or was taken back; what works on it waits as its guest does",
        "it goes on with the next lease");
}
