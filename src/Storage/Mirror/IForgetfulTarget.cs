namespace Godwit.Storage.Mirror;

/// <summary>A mirror's target that may lose what it has not flushed while this process lives on: a disk on another host.</summary>
public interface IForgetfulTarget
{
    /// <summary>Awaited each time the target has been lost and found again: after every request that failed has its error, and none of them
    /// can be carried out any more; before the first new request is let through. Set before the target is used.</summary>
    Func<Task>? FoundAgain { get; set; }
}
