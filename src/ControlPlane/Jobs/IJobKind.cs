namespace Godwit.ControlPlane.Jobs;

/// <summary>A kind of job: how it is called, how many may run, and its steps.</summary>
public interface IJobKind
{
    /// <summary>For example "move-storage". Stored; never changes.</summary>
    string Name { get; }

    /// <summary>How many jobs of this kind run at the same time; further ones wait in the order they came.</summary>
    int Limit { get; }

    /// <summary>The steps of a job, the same list every time it is asked with the same order.</summary>
    /// <param name="order">What was asked for, as stored.</param>
    IReadOnlyList<IJobStep> Plan(string order);
}
