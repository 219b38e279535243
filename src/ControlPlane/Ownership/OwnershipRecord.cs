namespace Godwit.ControlPlane.Ownership;

/// <summary>Who may run a VM. The record every recovery starts from.</summary>
/// <param name="Vm">The VM.</param>
/// <param name="Owner">Identity of the host that owns it.</param>
/// <param name="Generation">Grows by one with every change of owner or of the files that serve it; never falls.</param>
/// <param name="Phase">Whether a move is under way.</param>
public sealed record OwnershipRecord(Guid Vm, string Owner, long Generation, OwnershipPhase Phase);

/// <summary>Whether a move is under way. The numbers are stored and never change meaning.</summary>
public enum OwnershipPhase
{
    /// <summary>Nothing is moving.</summary>
    Settled = 0,

    /// <summary>A move is prepared; the next generation is reserved for its result.</summary>
    Moving = 1,
}
